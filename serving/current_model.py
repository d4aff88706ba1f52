"""The model that answers, and those that running experiments name: loaded beside what answers, then in its place."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from domain.errors import TransientError
from domain.models import ModelVersion
from store.artifacts import Artifacts

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_AGAIN_AFTER_S = 10.0
MODEL = "model"
"""The folder of a model's files, in that of its training."""

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Current(Generic[Loaded]):
    version: str
    model: Loaded


class CurrentModel(Generic[Loaded]):
    """Follows the registry. Who has got a model goes on with it to the end of his answer, whatever is switched.

    In memory at most: the current one, domain.experiment.MOST_MODELS of an experiment, and one that is being loaded
    or was current a second ago.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Sequence[ModelVersion]]],
        load: Callable[[Path], Loaded],
        refresh: Callable[[Loaded], Awaitable[None]],
        cache: Path,
    ) -> None:
        """`find` says what is to be loaded, the current one first; `load` runs in a thread; `refresh` in the loop,
        before what is loaded answers and again and again after.
        """
        self._find = find
        self._load = load
        self._refresh = refresh
        self._cache = cache
        self._current: Current[Loaded] | None = None
        self._loaded: dict[str, Current[Loaded]] = {}
        """By version; the current one too."""
        self._not_before: dict[str, float] = {}
        """Versions that could not be loaded → when to try again, by time.monotonic."""
        self._has_followed = False

    def has_followed(self) -> bool:
        """Whether the registry was asked once, and what it named is loaded, or can't be now."""
        return self._has_followed

    def get(self, version: str | None = None) -> Current[Loaded]:
        """The model to answer with: of that version where it is loaded, else the current one.

        Raises:
            TransientError: none is loaded, or none has been trained yet.

        """
        found = self._current if version is None else self._loaded.get(version, self._current)
        if found is None:
            raise TransientError("there is no model yet: `footfall train` makes one")
        return found

    async def keep_following(self) -> None:
        """Looks again and again until cancelled."""
        while True:
            try:
                await self.follow()
            except TransientError as error:
                _log.warning("models, or the catalog, could not be followed: %s", error)
            except Exception:
                _log.exception("models could not be followed")
                await asyncio.sleep(_AGAIN_AFTER_S)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def follow(self) -> None:
        """Drops what need not be loaded, refreshes the others, loads what is missing. What can't be loaded is tried
        again later, and leaves all others where they are.
        """
        wanted = await self._find()
        self._drop_others(wanted)
        for one in self._loaded.values():
            await self._refresh(one.model)
        for version in wanted:
            loaded = self._loaded.get(version.version) or await self._tried(version)
            if loaded is None:
                continue
            self._loaded[loaded.version] = loaded
            if version.state == "current" and loaded is not self._current:
                self._current = loaded
                _log.info("model %s answers", loaded.version)
        self._has_followed = True

    def _drop_others(self, wanted: Sequence[ModelVersion]) -> None:
        needed = {one.version for one in wanted}
        self._loaded = {
            version: one for version, one in self._loaded.items() if version in needed or one is self._current
        }

    async def _tried(self, wanted: ModelVersion) -> Current[Loaded] | None:
        """The model, or None where it can't be loaded now."""
        if time.monotonic() < self._not_before.get(wanted.version, 0):
            return None
        try:
            model = await asyncio.to_thread(self._fetch, wanted)
            await self._refresh(model)
        except TransientError as error:
            _log.warning("the model %s could not be loaded: %s", wanted.version, error)
            return None
        except Exception:
            # Files that are gone, cut off or of another version.
            _log.exception("the model %s could not be loaded", wanted.version)
            self._not_before[wanted.version] = time.monotonic() + _AGAIN_AFTER_S
            return None
        self._not_before.pop(wanted.version, None)
        _log.info("model %s is loaded", wanted.version)
        return Current(wanted.version, model)

    def _fetch(self, found: ModelVersion) -> Loaded:
        files = Artifacts(found.location).folder(MODEL).fetch(self._cache / found.version)
        return self._load(files)
