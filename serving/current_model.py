"""The model that answers: loaded beside the one that answers still, then put in its place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
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
    """Follows the registry. Who has got a model goes on with it to the end of his answer, whatever is switched."""

    def __init__(
        self,
        find: Callable[[], Awaitable[ModelVersion | None]],
        load: Callable[[Path], Loaded],
        refresh: Callable[[Loaded], Awaitable[None]],
        cache: Path,
    ) -> None:
        """`load` runs in a thread; `refresh` in the loop, before what is loaded answers and again and again after."""
        self._find = find
        self._load = load
        self._refresh = refresh
        self._cache = cache
        self._current: Current[Loaded] | None = None

    def get(self) -> Current[Loaded]:
        """The model to answer with.

        Raises:
            TransientError: none is loaded, or none has been trained yet.

        """
        if self._current is None:
            raise TransientError("there is no model yet: `footfall train` makes one")
        return self._current

    async def keep_following(self) -> None:
        """Looks again and again until cancelled; what can't be loaded leaves the other one where it is."""
        while True:
            try:
                await self.follow()
            except TransientError as error:
                _log.warning("models, or the catalog, could not be followed: %s", error)
            except Exception:
                # Files that are cut off or of another version: the next switch brings others.
                _log.exception("a model could not be loaded")
                await asyncio.sleep(_AGAIN_AFTER_S)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def follow(self) -> None:
        """Loads the current model where that is not the one that answers; else refreshes the one that does."""
        found = await self._find()
        if found is not None and (self._current is None or self._current.version != found.version):
            model = await asyncio.to_thread(self._fetch, found)
            await self._refresh(model)
            self._current = Current(found.version, model)
            _log.info("model %s answers", found.version)
        elif self._current is not None:
            await self._refresh(self._current.model)

    def _fetch(self, found: ModelVersion) -> Loaded:
        files = Artifacts(found.location).folder(MODEL).fetch(self._cache / found.version)
        return self._load(files)
