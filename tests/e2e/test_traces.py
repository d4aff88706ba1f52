"""Traces of real processes, as a collector receives them: from a request to the statements of its fan-outs."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.factories import body
from tests.otlp_receiver import Collector, Received, collector
from tests.stack import Stack

FAN_OUTS = ("persist", "popularity", "recommendations", "experiments")


@pytest.fixture(scope="module")
def received() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
async def traced(
    postgres_server: EmbeddedPostgres,
    temporal: Temporal,
    received: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        port = str(free_port("127.0.0.1", 0))
        settings = {
            "FOOTFALL_RECOMMENDER_PORT": port,
            "FOOTFALL_RECOMMENDER_URL": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "FOOTFALL_LOG_FORMAT": "json",
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
        }
        running = Stack(url, temporal.address, tmp_path_factory.mktemp("logs"), settings)
        running.start("worker", "recommender", "api")
        yield running
        running.stop()


def _caller(*, sampled: bool = True) -> tuple[bytes, bytes, dict[str, str]]:
    """Trace, span and headers of an app that traces."""
    trace_id, span_id = secrets.token_bytes(16), secrets.token_bytes(8)
    return trace_id, span_id, {"traceparent": f"00-{trace_id.hex()}-{span_id.hex()}-{'01' if sampled else '00'}"}


async def _record(stack: Stack, headers: dict[str, str]) -> str:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
        accepted = (await http.post("/interaction", json=body(), headers=headers)).json()
        await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})
        batch_id: str = accepted["batch_id"]
        return batch_id


def _only(spans: list[Received], name: str) -> Received:
    (found,) = [one for one in spans if one.name == name]
    return found


def _below(spans: list[Received], parent: Received) -> list[Received]:
    return [one for one in spans if one.span.parent_span_id == parent.span.span_id]


async def test_one_trace_from_the_callers_span_to_the_statements_of_every_fan_out(
    traced: Stack, received: Collector
) -> None:
    trace_id, caller, headers = _caller()
    batch_id = await _record(traced, headers)

    async def whole() -> list[Received]:
        spans = received.of_trace(trace_id)
        assert {f"RunActivity:{name}" for name in (*FAN_OUTS, "release")} <= {one.name for one in spans}
        return spans

    await eventually(whole)
    spans = received.of_trace(trace_id)
    request = _only(spans, "POST /interaction")
    assert request.span.parent_span_id == caller
    assert request.span.kind == Span.SPAN_KIND_SERVER
    assert (request.service, request.attributes["http.response.status_code"]) == ("footfall-api", 202)
    assert request.attributes["footfall.batch_id"] == batch_id

    commit = _only(_below(spans, request), "commit")
    (append,) = _below(spans, commit)[:1]
    assert append.name == "postgresql WITH"
    assert "event_ledger" in str(append.attributes["db.query.text"])

    start = _only(_below(spans, commit), "start batch")
    assert [link.span_id for link in start.span.links] == [request.span.span_id]
    started = _only(_below(spans, start), "StartWorkflow:RecordInteractions")
    run = _only(_below(spans, started), "RunWorkflow:RecordInteractions")
    assert run.service == "footfall-worker"
    for name in FAN_OUTS:
        activity = _only(spans, f"RunActivity:{name}")
        scheduled = [one for one in spans if one.span.span_id == activity.span.parent_span_id]
        assert [one.span.parent_span_id for one in scheduled] == [started.span.span_id]
        assert all(one.span.kind == Span.SPAN_KIND_CLIENT for one in _below(spans, activity))
    counted = _below(spans, _only(spans, "RunActivity:popularity"))
    assert any("product_popularity" in str(one.attributes["db.query.text"]) for one in counted)


async def test_of_many_requests_in_a_batch_every_one_is_linked(traced: Stack, received: Collector) -> None:
    callers = [_caller() for _ in range(20)]
    await asyncio.gather(*(_record(traced, headers) for _, _, headers in callers))
    ours = {trace_id for trace_id, _, _ in callers}

    def of_ours(name: str) -> list[Received]:
        return [one for one in received.spans if one.span.trace_id in ours and one.name == name]

    async def all_linked() -> None:
        requests = {one.span.span_id for one in of_ours("POST /interaction")}
        assert len(requests) == len(callers)
        commits = of_ours("commit")
        in_commits = [one.span.parent_span_id for one in commits]
        in_commits += [link.span_id for one in commits for link in one.span.links]
        assert sorted(in_commits) == sorted(requests)
        in_batches = [link.span_id for one in of_ours("start batch") for link in one.span.links]
        assert sorted(in_batches) == sorted(requests)

    await eventually(all_linked)


async def test_what_nobody_traces_is_not_traced(traced: Stack, received: Collector) -> None:
    trace_id, _, headers = _caller(sampled=False)
    await _record(traced, headers)
    known, _, sampled = _caller()
    await _record(traced, sampled)

    async def told() -> None:
        assert any(one.name == "RunActivity:release" for one in received.of_trace(known))

    await eventually(told)
    assert not received.of_trace(trace_id)
    roots = [one for one in received.spans if not one.span.parent_span_id]
    assert {one.span.kind for one in roots} <= {Span.SPAN_KIND_SERVER}


async def test_the_recommender_answers_in_the_trace_of_who_asks(traced: Stack, received: Collector) -> None:
    async def told() -> None:
        trace_id, _, headers = _caller()  # each time anew: the recommender may still be loading
        async with httpx.AsyncClient(base_url=traced.url, timeout=30) as http:
            assert (await http.get("/recommendations/alice", headers=headers)).status_code == 200

        async def both() -> None:
            found = {one.name: one for one in received.of_trace(trace_id)}
            asked, answered = found.get("GET /recommendations/{account_id}"), found.get("POST /recommend")
            assert asked is not None
            assert answered is not None
            assert answered.span.parent_span_id == asked.span.span_id
            assert answered.service == "footfall-recommender"

        await eventually(both, within_s=2)

    await eventually(told, within_s=60)


async def test_names_and_attributes_hold_no_account(traced: Stack, received: Collector) -> None:
    account, (trace_id, _, headers) = f"account-{secrets.token_hex(8)}", _caller()
    async with httpx.AsyncClient(base_url=traced.url, timeout=30) as http:
        await http.post("/interaction", json=body(account_id=account), headers=headers)
        await http.get(f"/interactions/{account}", headers=headers)
        await http.get(f"/no/such/path/{account}", headers=headers)

    async def told() -> list[Received]:
        names = {one.name for one in received.of_trace(trace_id)}
        assert {"GET /interactions/{account_id}", "GET", "RunActivity:persist"} <= names
        return received.of_trace(trace_id)

    assert not [str(one.span) for one in await eventually(told) if account in str(one.span)]


async def test_log_lines_name_their_trace(traced: Stack) -> None:
    """Of two interactions one can't be applied: the worker says so in the trace of the request that brought it."""
    trace_id, _, headers = _caller()
    database = await asyncpg.connect(traced.database_url)
    await database.execute("ALTER TABLE product_popularity ADD CONSTRAINT none CHECK (product_id <> 'poison')")
    await database.close()
    both = {"interactions": [body(), body(ref_id="poison")]}
    async with httpx.AsyncClient(base_url=traced.url, timeout=30) as http:
        assert (await http.post("/interaction", json=both, headers=headers)).status_code == 202

    async def said() -> None:
        lines = [json.loads(one) for one in (traced.logs / "worker.log").read_text().splitlines()]
        quarantined = [one for one in lines if "go into quarantine" in one["message"]]
        assert [(one["level"], one["trace_id"]) for one in quarantined] == [("ERROR", trace_id.hex())]

    await eventually(said)


def test_traces_that_can_not_be_made_are_refused(tmp_path: Path) -> None:
    stack = Stack(
        "postgresql://nobody@127.0.0.1:1/none",
        "127.0.0.1:1",
        tmp_path,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    )
    stack.start_unready("worker")
    assert stack.processes["worker"].wait(60) == 1
    assert "http/protobuf only" in (tmp_path / "worker.log").read_text()
