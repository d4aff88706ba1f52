"""Every rung of an answer, by taking the real part away: processes, servers and files of a model."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.actions import Action
from domain.event_types import load_event_weights
from domain.ids import new_id_bytes
from domain.recommendations import Answer, Recommended
from domain.week import from_us
from migrations.runner import migrate_postgres
from recommend import index
from recommend.actions import read_actions
from recommend.candidates import CandidateSettings
from recommend.catalog import catalog_ids, read_items
from recommend.model import Model
from recommend.planted import plant
from recommend.ranking import RankerSettings
from recommend.training import TrainingSettings, train
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from store.models import ModelRegistry
from store.postgres import create_pool, transaction
from store.precomputed import PrecomputedStore
from store.redis import open_redis
from store.signals_postgres import PostgresSignalStore
from store.signals_redis import RedisSignalStore
from tests.conftest import Temporal, eventually, new_namespace
from tests.factories import now_us
from tests.redis_server import RedisServer, redis_server
from tests.stack import Stack, frozen

_KNOWN, _UNKNOWN = "account-1", "nobody-yet"
_VIEWED_US = now_us() - 3_600_000_000


class House:
    """An API and a recommender on servers of their own, and a model in files; everything can be taken away."""

    def __init__(self, stack: Stack, postgres: EmbeddedPostgres, redis: RedisServer, model: Path) -> None:
        self.stack = stack
        self.postgres = postgres
        self.redis = redis
        self.model = model
        self.http = httpx.AsyncClient(base_url=stack.url, timeout=30)

    async def ask(self, account_id: str = _KNOWN) -> dict[str, Any]:
        """An answer; never anything but an answer, with items."""
        answer = await self.http.get(f"/recommendations/{account_id}", params={"limit": 10})
        if answer.status_code != 200 or not answer.json()["items"]:
            pytest.fail(f"{answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    async def stands_on(self, rung: str, account_id: str = _KNOWN) -> dict[str, Any]:
        """The first answer that does; those before are answers too."""

        async def check() -> dict[str, Any]:
            answer = await self.ask(account_id)
            assert answer["rung"] == rung
            return answer

        return await eventually(check, within_s=120)

    async def counts_failures_of(self, part: str) -> None:
        """Returns when the recommender does."""
        metrics = f"{self.stack.environment['FOOTFALL_RECOMMENDER_URL']}/metrics"

        async def check() -> None:
            try:
                text = (await self.http.get(metrics)).text
            except httpx.ConnectError as error:
                raise AssertionError from error
            assert f'footfall_recommendation_failures_total{{part="{part}"}}' in text

        await eventually(check, within_s=120)

    @contextmanager
    def signals_in_postgres(self) -> Iterator[None]:
        url = self.stack.settings.pop("FOOTFALL_REDIS_URL")
        self.restart("recommender", "api")
        try:
            yield
        finally:
            self.stack.settings["FOOTFALL_REDIS_URL"] = url
            self.restart("recommender", "api")

    def restart(self, *names: str) -> None:
        for name in names:
            self.stack.kill(name)
        self.stack.start(*names)

    @contextmanager
    def damaged(self, name: str, *, leave: float | None) -> Iterator[None]:
        """So much is left of a file of the model, or, for None, nothing; the recommender meets it as it starts."""
        file = self.model / name
        whole = file.read_bytes()
        file.unlink()
        if leave is not None:
            file.write_bytes(whole[: int(len(whole) * leave)])
        self.restart("recommender")
        try:
            yield
        finally:
            file.write_bytes(whole)
            self.restart("recommender")

    @contextmanager
    def without_recommender(self) -> Iterator[None]:
        self.stack.kill("recommender")
        try:
            yield
        finally:
            self.stack.start("recommender")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop's model, with the indexes that a large one's has."""
    planted = plant(accounts=300, items=400, events=12_000, weeks=4, taste_size=25, seed=3)
    actions = read_actions(planted.actions, load_event_weights(), catalog_ids(planted.items))
    settings = TrainingSettings(
        candidates=CandidateSettings(small_catalog=0), ranker=RankerSettings(trees=20), questions=300, threads=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "EXACT_UP_TO", 10)
        parts, ranker = train(actions, read_items(planted.items, actions.item_ids), settings)
    folder = tmp_path_factory.mktemp("models") / "m1" / "model"
    Model("m1", parts, actions.kinds, ranker, settings.candidates).to_folder(folder)
    return folder


async def _furnish(url: str, redis: RedisServer, model: Path) -> None:
    """A model that answers, a known account with a view and an answer made ahead, and popular items."""
    await migrate_postgres(url)
    viewed = [Action(_KNOWN, "item-7", "view", _VIEWED_US, new_id_bytes())]
    async with (
        create_pool(url, name="house", size=2, timeout_s=30) as pool,
        open_redis(redis.url, name="house", timeout_s=30) as client,
    ):
        await ModelRegistry(pool).register("m1", str(model.parent), "planted", {})
        await ModelRegistry(pool).activate("m1")
        signals = PostgresSignalStore(pool)
        await signals.maintain()
        async with transaction(pool) as connection:
            await signals.add(connection, viewed)
            await RedisSignalStore(client).add(connection, viewed)
        made = Answer("ranked", [Recommended("item-3", 0.5, "next")], "m0", None, _VIEWED_US)
        await PrecomputedStore(pool).write({_KNOWN: made})
        await pool.execute("INSERT INTO product_popularity VALUES ('item-5', 50, 1, 0, 0, 0, 0, now())")


@pytest.fixture(scope="module")
async def house(
    temporal: Temporal, servers_dir: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    postgres = EmbeddedPostgres(servers_dir / "rungs" / "postgres", servers_dir / "rungs" / "logs")
    port = str(free_port("127.0.0.1", 0))
    with redis_server(tmp_path_factory.mktemp("rungs")) as redis:
        postgres.start()
        await _furnish(postgres.url, redis, model_folder)
        settings = {
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            "FOOTFALL_RECOMMENDER_PORT": port,
            "FOOTFALL_RECOMMENDER_URL": f"http://127.0.0.1:{port}",
            "FOOTFALL_REDIS_URL": redis.url,
        }
        stack = Stack(postgres.url, temporal.address, servers_dir / "logs", settings)
        try:
            stack.start("recommender", "api")
            made = House(stack, postgres, redis, model_folder)
            yield made
            await made.http.aclose()
        finally:
            stack.stop()
            postgres.stop()


@pytest.fixture(autouse=True)
async def whole(house: House) -> None:
    """What a test took away is back before the next one."""
    await house.stands_on("ranked")


async def test_all_is_well(house: House) -> None:
    answer = await house.ask()
    assert answer["model_version"] == "m1"
    assert answer["computed_at"] is None
    assert answer["last_action_at"] == from_us(_VIEWED_US).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("leave", [0.5, None])
async def test_without_the_ranker_candidates_by_their_own_scores(house: House, leave: float | None) -> None:
    with house.damaged("ranker.txt", leave=leave):
        answer = await house.stands_on("candidates")
        assert answer["model_version"] == "m1"
        assert answer["last_action_at"] is not None
        await house.counts_failures_of("ranker")


@pytest.mark.parametrize("leave", [0.5, None])
async def test_without_an_index_what_was_made_ahead(house: House, leave: float | None) -> None:
    with house.damaged("embedding.faiss", leave=leave):
        await house.counts_failures_of("index")
        answer = await house.ask()
        assert (answer["rung"], [one["item_id"] for one in answer["items"]]) == ("precomputed", ["item-3"])
        assert (await house.ask(_UNKNOWN))["rung"] == "popular"


async def test_without_a_model_what_was_made_ahead(house: House) -> None:
    with house.damaged("item_factors.npy", leave=0.5):
        assert (await house.stands_on("precomputed"))["model_version"] == "m0"


async def test_without_redis_as_for_somebody_unknown(house: House) -> None:
    house.redis.stop()
    answer = await house.stands_on("defaults")
    assert answer["last_action_at"] is None
    await house.counts_failures_of("signals")
    house.redis.start()


async def test_with_redis_frozen_as_for_somebody_unknown(house: House) -> None:
    assert house.redis.process is not None
    with frozen(house.redis.process.pid):
        await house.stands_on("defaults")


async def test_with_postgres_frozen_as_for_somebody_unknown(house: House) -> None:
    with house.signals_in_postgres():
        await house.stands_on("ranked")
        assert house.postgres.process is not None
        with frozen(house.postgres.process.pid):
            await house.stands_on("defaults")
        await house.stands_on("ranked")


async def test_with_signals_in_redis_answers_need_no_postgres(house: House) -> None:
    house.postgres.stop()
    for account_id in (_KNOWN, _UNKNOWN):
        assert (await house.ask(account_id))["rung"] == "ranked"
    house.postgres.start()


async def test_without_the_recommender_what_was_made_ahead_or_is_popular(house: House) -> None:
    with house.without_recommender():
        answer = await house.stands_on("precomputed")
        assert answer["model_version"] == "m0"
        assert answer["computed_at"] is not None
        assert answer["last_action_at"] == from_us(_VIEWED_US).isoformat().replace("+00:00", "Z")
        answer = await house.stands_on("popular", _UNKNOWN)
        assert [one["item_id"] for one in answer["items"]] == ["item-5"]


async def test_with_the_recommender_frozen_what_was_made_ahead_or_is_popular(house: House) -> None:
    with frozen(house.stack.processes["recommender"].pid):
        await house.stands_on("precomputed")
        await house.stands_on("popular", _UNKNOWN)


@pytest.mark.parametrize("way", ["killed", "frozen"])
async def test_without_recommender_and_postgres_what_was_popular(house: House, way: str) -> None:
    with house.without_recommender():
        await house.stands_on("precomputed")
        assert house.postgres.process is not None
        if way == "frozen":
            with frozen(house.postgres.process.pid):
                await house.stands_on("memory")
        else:
            os.kill(house.postgres.process.pid, signal.SIGQUIT)  # its immediate shutdown: what a crash leaves
            house.postgres.process.wait(30)
            answer = await house.stands_on("memory")
            assert [one["item_id"] for one in answer["items"]] == ["item-5"]
            house.postgres.start()
        await house.stands_on("precomputed")
