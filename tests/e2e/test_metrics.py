"""What real processes tell: every metric that is shown or alerts, and counts that are exact."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from migrations.runner import migrate_postgres
from runtime.kafka.server import KafkaServer
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.deploy.metric_names import defined, named, of_alerts, of_dashboard
from tests.doors.kafka.consuming import Consuming, consuming
from tests.factories import body
from tests.stack import Stack

_BY_PROMETHEUS = {"up"}


class Scraped:
    """The samples of some processes' metrics, and their types."""

    def __init__(self, texts: list[str]) -> None:
        self.types: dict[str, str] = {}
        self._samples: list[tuple[str, dict[str, str], float]] = []
        for text in texts:
            for family in text_string_to_metric_families(text):
                name = family.name + ("_total" if family.type == "counter" else "")
                self.types[name] = family.type
                self._samples += [(one.name, one.labels, one.value) for one in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of what has these labels; 0 where nothing has."""
        return sum(value for one, has, value in self._samples if one == name and labels.items() <= has.items())


@pytest.fixture(scope="module")
async def house(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Stack]:
    """One of each process, and nobody else who is counted."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        port = str(free_port("127.0.0.1", 0))
        settings = {
            "FOOTFALL_SWEEP_AFTER_S": "2",
            "FOOTFALL_SWEEP_INTERVAL_S": "0.5",
            "FOOTFALL_RECOMMENDER_PORT": port,
            "FOOTFALL_RECOMMENDER_URL": f"http://127.0.0.1:{port}",
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
        }
        running = Stack(url, temporal.address, servers_dir / "logs", settings)
        running.start("worker", "recommender", "api")
        yield running
        running.stop()


async def _scrape(house: Stack, *others: int) -> Scraped:
    ports = house.port, house.metrics_port, house.environment["FOOTFALL_RECOMMENDER_PORT"], *others
    async with httpx.AsyncClient(timeout=30) as http:
        try:
            answers = [await http.get(f"http://127.0.0.1:{port}/metrics") for port in ports]
        except httpx.ConnectError as error:
            raise AssertionError from error
    assert {answer.status_code for answer in answers} == {200}
    return Scraped([answer.text for answer in answers])


async def _record(house: Stack, *bodies: dict[str, object]) -> str:
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        accepted = (await http.post("/interaction", json={"interactions": bodies})).json()
        batch_id: str | None = accepted["batch_id"]
        if batch_id is None:
            return ""
        receipt = (await http.get(f"/batches/{batch_id}", params={"wait": "30s"})).json()
        assert receipt["state"] == "done"
    return batch_id


async def test_whatever_is_shown_or_alerts_is_told(house: Stack, kafka: KafkaServer) -> None:
    await _record(house, body())
    wanted = set().union(*map(named, [*of_dashboard(), *of_alerts()]))
    with consuming(house, kafka, ["interaction"]) as consumer:
        consumer.start()
        await eventually(lambda: _told_by_all(house, consumer, wanted))


async def _told_by_all(house: Stack, consumer: Consuming, wanted: set[str]) -> None:
    types = (await _scrape(house, *consumer.metrics_ports)).types
    assert not wanted - set(types) - _BY_PROMETHEUS
    assert defined().items() <= types.items()


async def test_what_is_counted_is_what_was_done_once(house: Stack) -> None:
    before = await eventually(lambda: _scrape(house))
    bodies = [body(event_id=f"00000000-0000-4000-8000-{number:012}") for number in range(5)]
    await _record(house, *bodies)
    await _record(house, *bodies)

    async def counted() -> None:
        after = await _scrape(house)

        def more(name: str, **labels: str) -> float:
            return after.value(name, **labels) - before.value(name, **labels)

        assert more("footfall_interactions_accepted_total") == 5
        assert more("footfall_interactions_duplicate_total") == 5
        assert more("footfall_batch_interactions_sum") == 5
        assert more("footfall_batch_interactions_count") == 1
        assert more("footfall_intake_rows_released_total") == 1
        for fan_out in ("persist", "popularity", "recommendations", "experiments"):
            assert more("footfall_fan_out_interactions_total", fan_out=fan_out) == 5
            assert more("footfall_visible_seconds_count", fan_out=fan_out) == 1
            assert more("footfall_activity_attempts_total", activity=fan_out) == 1
        assert more("footfall_activity_failures_total") == 0
        assert after.value("footfall_backlog_events") == 0
        assert after.value("footfall_build_info") == 3
        assert after.value("temporal_workflow_completed_total") >= 1

    await eventually(counted)


async def test_a_worker_whose_metrics_port_is_taken_works_and_tells_them_when_it_is_free(house: Stack) -> None:
    other = Stack(
        house.database_url, house.temporal_address, house.logs, house.settings, metrics_port=house.metrics_port
    )
    log = house.logs / "worker.log"
    said = len(log.read_text())
    other.start_unready("worker")
    try:

        async def warned() -> None:
            assert re.search(r"no metrics yet: 127\.0\.0\.1:\d+ can't be listened on", log.read_text()[said:])

        await eventually(warned)
        house.kill("worker")
        await _record(house, body())

        async def told() -> None:
            assert (await _scrape(house)).value("footfall_intake_rows_released_total") >= 1

        await eventually(told)
    finally:
        other.stop()
        house.start_unready("worker")
