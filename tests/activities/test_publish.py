"""The fan-out into a topic: each interaction at least once under its event id, and marks after the broker has it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from confluent_kafka import KafkaError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import BatchReader
from activities.fan_out import Resources, fan_out_activity
from activities.publish import Publish, messages
from activities.release import BatchEnd
from domain.batch import FanOutInput, FanOutResult, ReleaseInput, ReleaseResult
from domain.errors import InvalidInputError, PermanentError, TransientError
from domain.event_types import load_event_weights
from domain.ids import new_id
from domain.readable import readable
from intake.log import IntakeLog, NewInteraction
from runtime.kafka.server import PASSWORD, USERNAME, KafkaServer
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Pool
from store.signals_postgres import PostgresSignalStore
from store.topic_kafka import KafkaTopic
from tests.conftest import eventually
from tests.factories import interaction, new_interaction
from tests.kafka_server import new_topic, read_all
from tests.publishing import make_topic, open_topic, published
from tests.stack import frozen


@pytest.fixture
def name(kafka: KafkaServer) -> str:
    return new_topic(kafka, "published", 3)


@pytest.fixture
async def topic(kafka: KafkaServer, name: str) -> AsyncIterator[KafkaTopic]:
    async with open_topic(kafka, name) as topic:
        yield topic


@pytest.fixture
def unset(pool: Pool) -> Resources:
    """Of a worker that publishes nothing."""
    return Resources(pool, IntakeLog(pool), PostgresBlockStore(pool), PostgresSignalStore(pool), load_event_weights())


@pytest.fixture
def resources(unset: Resources, topic: KafkaTopic) -> Resources:
    return replace(unset, topic=topic)


async def _run(resources: Resources, batch: UUID) -> FanOutResult:
    run = fan_out_activity(Publish(resources), BatchReader(resources.log), resources.log)
    result = await ActivityEnvironment().run(run, FanOutInput(batch))
    assert isinstance(result, FanOutResult)
    return result


async def _batch(log: IntakeLog, *events: NewInteraction) -> UUID:
    batch = new_id()
    await log.append(batch, events)
    return batch


async def test_a_message_is_what_a_reader_of_the_history_gets(
    resources: Resources, kafka: KafkaServer, name: str
) -> None:
    optional = {"account_number": 7, "session_id": "s", "user_agent": "☕", "ip_address": "192.0.2.1"}
    full = new_interaction(**optional, metadata='{"price":1e400,"é":"\\u0000"}')
    batch = await _batch(resources.log, full, *(new_interaction(ref_id=f"p{n}") for n in range(4_999)))
    with_duplicate = await _batch(resources.log, full, new_interaction())
    assert (await _run(resources, batch)).applied_rows == 1
    assert (await _run(resources, with_duplicate)).applied_rows == 1
    found = {message.key(): message.value() for message in read_all(kafka, name)}
    assert found[str(UUID(bytes=full.interaction.event_id)).encode()] == msgspec.json.encode(
        readable([full.interaction])[0]
    )
    keys = [key for key, body in published(kafka, name) if key == body["event_id"]]
    assert len(keys) == len(set(keys)) == 5_001


async def test_what_is_marked_is_not_published_again(resources: Resources, kafka: KafkaServer, name: str) -> None:
    batch = await _batch(resources.log, new_interaction(), new_interaction())
    assert (await _run(resources, batch)).applied_rows == 1
    assert (await _run(resources, batch)).applied_rows == 0
    assert len(published(kafka, name)) == 2


@pytest.fixture
def mortal(tmp_path: Path, kafka: KafkaServer) -> Iterator[KafkaServer]:
    """A broker that a test may kill."""
    own = KafkaServer(tmp_path / "kafka", tmp_path)
    own.start()
    yield own
    own.kill()


async def test_no_mark_without_the_brokers_word(unset: Resources, pool: Pool, mortal: KafkaServer) -> None:
    """The broker hangs, dies, comes back, and has what was to be written; few wait for it meanwhile."""
    name = new_topic(mortal, "published")
    async with open_topic(mortal, name) as topic:
        resources = replace(unset, topic=topic)
        await _run(resources, await _batch(unset.log, new_interaction()))
        batch = await _batch(unset.log, *(new_interaction() for _ in range(50)))

        assert mortal.process is not None
        with frozen(mortal.process.pid):
            said = await _refused(resources, batch, 8)
        assert sum("timed out" in one for one in said) == 4
        assert sum("are under way" in one for one in said) == 4

        mortal.kill()
        said = await _refused(resources, batch, 8)
        assert sum("timed out" in one and "refused" in one for one in said) >= 1
        assert await pool.fetchval("SELECT count(*) FROM applied") == 1

        mortal.start()

        async def taken() -> None:
            try:
                await _run(resources, batch)
            except ApplicationError as error:
                raise AssertionError from error

        await eventually(taken)
    assert await pool.fetchval("SELECT count(*) FROM applied") == 2
    assert len({key for key, _ in published(mortal, name)}) == 51


async def _refused(resources: Resources, batch: UUID, tries: int) -> list[str]:
    failed = await asyncio.gather(*(_run(resources, batch) for _ in range(tries)), return_exceptions=True)
    assert all(isinstance(one, ApplicationError) and not one.non_retryable for one in failed), failed
    return [str(one) for one in failed]


async def test_while_there_is_trouble_one_tries_and_the_others_are_told(topic: KafkaTopic) -> None:
    topic._hear(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    some = list(messages([interaction()]))
    done = await asyncio.gather(*(topic.write(some) for _ in range(5)), return_exceptions=True)
    assert done[0] is None
    assert all(isinstance(one, TransientError) for one in done[1:])
    assert await asyncio.gather(*(topic.write(some) for _ in range(4))) == [None] * 4


async def test_a_topic_that_is_not_there_is_waited_for(unset: Resources, kafka: KafkaServer) -> None:
    name = f"made-later-{new_id()}"
    async with open_topic(kafka, name) as topic:
        resources = replace(unset, topic=topic)
        batch = await _batch(unset.log, new_interaction())
        with pytest.raises(ApplicationError, match="Unknown topic") as raised:
            await _run(resources, batch)
        assert not raised.value.non_retryable
        make_topic(kafka, name)

        async def taken() -> None:
            try:
                await _run(resources, batch)
            except ApplicationError as error:
                raise AssertionError from error

        await eventually(taken)
    assert len({key for key, _ in published(kafka, name)}) == 1


async def test_what_the_topic_never_takes_is_parked(unset: Resources, kafka: KafkaServer) -> None:
    name = f"narrow-{new_id()}"
    make_topic(kafka, name, **{"max.message.bytes": "100"})
    async with open_topic(kafka, name) as topic:
        batch = await _batch(unset.log, new_interaction())
        with pytest.raises(ApplicationError, match="too large") as raised:
            await _run(replace(unset, topic=topic), batch)
    assert raised.value.non_retryable


async def test_what_no_message_holds_is_poison(resources: Resources, pool: Pool) -> None:
    """No door lets in so much; the others of its batch go out."""
    huge = new_interaction(metadata=msgspec.json.encode({"x": "x" * 1_000_000}).decode())
    result = await _run(resources, await _batch(resources.log, huge, new_interaction()))
    assert (result.applied_rows, result.quarantined) == (1, 1)
    assert "a message has" in await pool.fetchval("SELECT reason FROM quarantine WHERE fan_out = 'publish'")


async def test_a_probe_writes_nothing(resources: Resources, kafka: KafkaServer, name: str) -> None:
    await Publish(resources).probe([interaction()])
    assert published(kafka, name) == []


async def test_after_a_fatal_error_it_begins_anew(topic: KafkaTopic, kafka: KafkaServer, name: str) -> None:
    before = topic._producer
    topic._hear(KafkaError(KafkaError._FATAL, "out of sequence", fatal=True))

    async def replaced() -> None:
        assert topic._producer is not before

    await eventually(replaced)
    await topic.write(list(messages([interaction()])))
    assert len(published(kafka, name)) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, PermanentError),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, PermanentError),
        (KafkaError.NOT_ENOUGH_REPLICAS, TransientError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, TransientError),
    ],
)
async def test_what_an_operator_has_to_mend_is_permanent(topic: KafkaTopic, code: int, kind: type[Exception]) -> None:
    """What one broker for all tests does not say itself."""
    assert type(topic._translated(KafkaError(code))) is kind


@pytest.mark.parametrize("right", [True, False])
async def test_a_password_of_the_config_file_counts(kafka: KafkaServer, name: str, right: bool) -> None:
    """A wrong one may be mended at the broker: it is tried again, and says why."""
    connection = {
        "bootstrap.servers": kafka.sasl_bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": USERNAME,
        "sasl.password": PASSWORD if right else "guessed",
    }
    topic = KafkaTopic(name, connection)
    try:
        if right:
            await topic.write(messages([interaction()]))
            assert len(published(kafka, name)) == 1
        else:
            with pytest.raises(TransientError, match="Authentication failed"):
                await topic.write(messages([interaction()]))
    finally:
        await topic.aclose()


async def test_a_worker_without_the_setting_says_so(unset: Resources) -> None:
    batch = await _batch(unset.log, new_interaction())
    with pytest.raises(ApplicationError, match="no FOOTFALL_PUBLISH_TOPIC") as raised:
        await _run(unset, batch)
    assert raised.value.non_retryable
    await unset.log.mark_alone("publish", await unset.log.read(batch))
    assert (await _run(unset, batch)).applied_rows == 0, "it was published before the setting was taken away"


async def test_what_was_started_without_it_is_not_released_but_left_to_the_sweeper(unset: Resources) -> None:
    """By an API that lacks the setting, or before it was set: the worker that has it decides."""
    log = unset.log
    batch = await _batch(log, new_interaction())
    await log.mark_alone("persist", await log.read(batch))
    release = ReleaseInput(batch, ["persist"])
    insists = BatchEnd(log, BatchReader(log), ["publish"])
    assert await ActivityEnvironment().run(insists.release, release) == ReleaseResult(0, 1)
    await log.mark_alone("publish", await log.read(batch))
    assert await ActivityEnvironment().run(insists.release, release) == ReleaseResult(1, 0)


async def test_what_librdkafka_does_not_take_is_said(kafka: KafkaServer) -> None:
    with pytest.raises(InvalidInputError, match=r"security\.protocol"):
        KafkaTopic("t", {"bootstrap.servers": kafka.bootstrap, "security.protocol": "none"})
