"""`footfall consume` on a real broker: what is in the topics is counted once, whatever dies on the way."""

import asyncio
import json
import random
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.kafka.server import PASSWORD, USERNAME, KafkaServer
from tests.doors.kafka.conftest import Shop
from tests.doors.kafka.consuming import consuming, unique, until, until_counted, view_count, views
from tests.factories import body
from tests.kafka_server import committed, produce, rewind
from tests.stack import frozen

NOW_MS = int(time.time() * 1000)
_COMMITS_S = 3.0
"""More than the consumer takes to commit what is recorded."""
_DAYS_AGO = (datetime.now(UTC) - timedelta(days=100)).isoformat()


async def _history(shop: Shop, account: str) -> list[dict[str, object]]:
    async with httpx.AsyncClient(base_url=shop.stack.url, timeout=30) as http:
        answer = await http.get(f"/interactions/{account}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_every_format_is_recorded(shop: Shop, kafka: KafkaServer) -> None:
    cup, alice, bob = unique("cup"), unique("alice"), unique("bob")
    number = random.randrange(2**31)
    click = {"user_id": "", "anonymous_user_id": alice, "catalog_id": 7, "product_id": number, "clicked_at": NOW_MS}
    detail = {"product_id": number, "sub_order_num": "s-1", "catalog_details": {"catalog_id": 7}}
    with consuming(shop.stack, kafka, ["interaction", "click", "order"], partitions=2) as group:
        interactions, clicks, orders = group.topics
        own_id = str(uuid4())
        produce(
            kafka,
            interactions,
            [
                json.dumps(body(account_id=alice, ref_id=cup, event_id=own_id)).encode(),
                json.dumps({"interactions": [body(account_id=bob, ref_id=cup)] * 3}).encode(),
            ],
        )
        produce(
            kafka,
            clicks,
            [
                json.dumps({"meta": {"requestId": "r"}, "data": {"payload": click}}).encode(),
                json.dumps({"user_id": alice, "catalog_id": 7, "product_id": number, "timestamp": NOW_MS}).encode(),
            ],
        )
        order = {"user_id": 5, "order_splits": [{"order_details": [detail, detail]}, {"order_details": [detail]}]}
        produce(kafka, orders, [json.dumps({"meta": {"timestamp": NOW_MS}, "data": order}).encode()])
        group.start()
        for topic, messages in ((interactions, 2), (clicks, 2), (orders, 1)):
            await group.until_read(topic, messages)
        await until_counted(shop.stack, cup, 4)
        assert await view_count(shop.stack, str(number)) == 2
        assert group.dead() == []
    by_alice = await _history(shop, alice)
    assert own_id in {one["event_id"] for one in by_alice}
    assert sorted(str(one["ref_id"]) for one in by_alice) == sorted([cup, str(number), str(number)])
    assert len(await _history(shop, bob)) == 3
    by_five = [one for one in await _history(shop, "5") if one["ref_id"] == str(number)]
    assert [one["event_type"] for one in by_five] == ["purchase"] * 3
    assert by_five[0]["metadata"] == {"catalog_id": 7, "order_id": "s-1", "bharatml_metadata": ""}


async def test_killed_in_the_middle_and_started_again(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=3, FOOTFALL_COMMIT_MAX_EVENTS="50") as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 6_000))
        for _ in range(3):
            before = await view_count(shop.stack, cup)
            process = group.start()
            while await view_count(shop.stack, cup) == before:  # it records, and has committed little of it
                assert process.poll() is None
                await asyncio.sleep(0)
            group.end(process, signal.SIGKILL)
        assert sum(committed(kafka, group.group, topic).values()) < 6_000
        group.start()
        await group.until_read(topic, 6_000)
        await until_counted(shop.stack, cup, 6_000)


async def test_told_to_end_it_commits_what_it_recorded(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], FOOTFALL_COMMIT_MAX_EVENTS="50") as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 20_000))
        process = group.start()
        await until(lambda: bool(committed(kafka, group.group, topic)))
        assert group.end(process) == 0
        done = sum(committed(kafka, group.group, topic).values())
        assert done < 20_000
        await until_counted(shop.stack, cup, done)
        group.start()
        await group.until_read(topic, 20_000)
        await until_counted(shop.stack, cup, 20_000)


async def test_a_second_consumer_takes_its_part_and_gives_it_back(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=4, FOOTFALL_COMMIT_MAX_EVENTS="50") as group:
        (topic,) = group.topics

        def has(process: int) -> float:
            return group.metrics(process)["footfall_kafka_partitions",] if group.is_telling(process) else 0

        group.start()
        await until(lambda: has(0) == 4)
        produce(kafka, topic, views(cup, 4_000))
        second = group.start()
        await until(lambda: has(0) == has(1) == 2)
        produce(kafka, topic, views(cup, 4_000))
        await until(lambda: group.metrics(1).get(("footfall_kafka_messages_total", topic), 0) > 0)
        group.end(second, signal.SIGKILL if random.random() < 0.5 else signal.SIGTERM)
        produce(kafka, topic, views(cup, 1_000))
        await group.until_read(topic, 9_000)
        assert has(0) == 4
        await until_counted(shop.stack, cup, 9_000)


async def test_read_again_from_the_start(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=2) as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 300))
        produce(kafka, topic, [json.dumps(body(ref_id=cup, event_id=str(uuid4()))).encode() for _ in range(100)])
        produce(kafka, topic, views(cup, 100, occurred_at=_DAYS_AGO))
        produce(kafka, topic, [b"no JSON"])
        first = group.start()
        await group.until_read(topic, 501)
        assert group.end(first) == 0
        rewind(kafka, group.group, topic)
        group.start()
        await group.until_read(topic, 501)
        await until_counted(shop.stack, cup, 500)
        await until(lambda: group.metrics()["footfall_interactions_duplicate_total",] == 500)
        assert len(group.dead()) == 2


async def test_sent_again_after_midnight(shop: Shop, kafka: KafkaServer) -> None:
    """Without a time of its own an event has that of its message, of which there are two here."""
    cup = unique("cup")
    midnight_ms = NOW_MS // 86_400_000 * 86_400_000
    sent = [json.dumps(body(ref_id=cup, event_id=str(uuid4()))).encode() for _ in range(5)]
    with consuming(shop.stack, kafka, ["interaction"]) as group:
        (topic,) = group.topics
        produce(kafka, topic, sent, at_ms=midnight_ms - 60_000)
        first = group.start()
        await group.until_read(topic, 5)
        produce(kafka, topic, sent, at_ms=min(NOW_MS, midnight_ms + 60000))
        await group.until_read(topic, 10)
        group.end(first)
        rewind(kafka, group.group, topic)
        group.start()
        await group.until_read(topic, 10)
        await until_counted(shop.stack, cup, 5)


async def test_a_topic_that_is_made_anew_is_not_the_old_one(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    with consuming(shop.stack, kafka, ["interaction"]) as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 20))
        first = group.start()
        await group.until_read(topic, 20)
        group.end(first)
        await asyncio.to_thread(admin.delete_topics([topic])[topic].result, 30)
        await asyncio.to_thread(admin.delete_consumer_groups([group.group])[group.group].result, 30)

        def make() -> bool:
            made = admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic]
            return made.exception(30) is None

        await until(make)
        produce(kafka, topic, views(cup, 20))
        group.start()
        await group.until_read(topic, 20)
        await until_counted(shop.stack, cup, 40)


async def test_poison_goes_to_the_dead_letters_and_holds_nothing_back(shop: Shop, kafka: KafkaServer) -> None:
    cup, alice = unique("cup"), unique("alice")
    good = body(account_id=alice, ref_id=cup)
    many = json.dumps({"interactions": [good, {**good, "ref_type": "Shop"}, good]}).encode()
    old = json.dumps({**good, "occurred_at": "2020-01-01T00:00:00Z"}).encode()
    with consuming(shop.stack, kafka, ["interaction", "click"]) as group:
        topic, clicks = group.topics
        produce(kafka, topic, [b"\xff not JSON", json.dumps(good).encode(), many, old, b""])
        produce(kafka, clicks, [b'{"user_id": "u", "catalog_id": 1, "product_id": "x"}'])
        group.start()
        await group.until_read(topic, 5)
        await group.until_read(clicks, 1)
        await until_counted(shop.stack, cup, 3)
        found = {
            headers["footfall.topic"] + headers["footfall.offset"]: (value, headers)
            for value, headers in group.dead()
        }
        assert found.keys() == {f"{topic}{offset}" for offset in (0, 2, 3, 4)} | {f"{clicks}0"}
        assert found[f"{topic}0"][0] == b"\xff not JSON"
        assert found[f"{topic}0"][1]["footfall.kind"] == "not_json"
        value, headers = found[f"{topic}2"]
        assert value == many
        assert headers["footfall.reason"].startswith("#/interactions/1/ref_type: ")
        assert headers["footfall.partition"] == "0"
        assert abs(int(headers["footfall.timestamp"]) - time.time() * 1000) < 600_000
        assert found[f"{topic}3"][1]["footfall.reason"] == "#/occurred_at: over 24 weeks ago"
        assert "product_id" in found[f"{clicks}0"][1]["footfall.reason"]
        assert group.metrics()["footfall_kafka_dead_letters_total", "invalid", topic] == 2


async def test_postgres_down_meanwhile(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=2, FOOTFALL_COMMIT_MAX_EVENTS="50") as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 2_000))
        process = group.start()
        await until(lambda: bool(committed(kafka, group.group, topic)))
        await asyncio.to_thread(shop.postgres.stop)
        try:
            produce(kafka, topic, views(cup, 1_000))
            await until(lambda: group.metrics()["footfall_kafka_paused",] == 1)
        finally:
            await asyncio.to_thread(shop.postgres.start)
        await group.until_read(topic, 3_000)
        assert process.poll() is None
        assert group.metrics()["footfall_kafka_paused",] == 0
        await until_counted(shop.stack, cup, 3_000)


async def test_a_full_backlog_pauses_and_what_is_worked_off_resumes(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    bounds = {"FOOTFALL_BACKLOG_LIMIT_EVENTS": "1000", "FOOTFALL_COMMIT_MAX_EVENTS": "100"}
    with consuming(shop.stack, kafka, ["interaction"], partitions=2, **bounds) as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 3_000))
        shop.stack.kill("worker")
        try:
            group.start()

            def is_paused() -> bool:
                metrics = group.metrics() if group.is_telling() else {}
                lag = sum(value for name, value in metrics.items() if name[0] == "footfall_kafka_lag")
                return metrics.get(("footfall_kafka_paused",)) == 1 and 1_600 <= lag <= 2_000

            await until(is_paused)

            def is_told() -> bool:  # what is recorded, and nothing of what waits
                done = sum(committed(kafka, group.group, topic).values())
                return done == group.metrics()["footfall_interactions_accepted_total",]

            await until(is_told)
        finally:
            shop.stack.start("worker")
        await group.until_read(topic, 3_000)
        await until_counted(shop.stack, cup, 3_000)
        assert group.metrics()["footfall_kafka_failures_total", "backlog"] > 0


async def test_killed_while_postgres_does_not_answer(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=1, FOOTFALL_COMMIT_MAX_EVENTS="100") as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 200))
        process = group.start()
        await group.until_read(topic, 200)
        assert shop.postgres.process is not None
        with frozen(shop.postgres.process.pid):
            produce(kafka, topic, views(cup, 1_000))
            await until(lambda: group.metrics()["footfall_kafka_paused",] == 1)
            await asyncio.sleep(_COMMITS_S)  # what it believes to be recorded by now is committed
            group.end(process, signal.SIGKILL)
        assert sum(committed(kafka, group.group, topic).values()) == 200
        group.start()
        await group.until_read(topic, 1_200)
        await until_counted(shop.stack, cup, 1_200)


async def test_the_broker_is_killed_and_comes_back(shop: Shop, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with tempfile.TemporaryDirectory(prefix="footfall-") as folder:
        broker = KafkaServer(Path(folder) / "data", Path(folder) / "logs")
        broker.start()
        try:
            with consuming(shop.stack, broker, ["interaction"], partitions=2) as group:
                (topic,) = group.topics
                produce(broker, topic, [*views(cup, 500), b"no JSON"])
                process = group.start()
                await until(lambda: group.is_telling() and group.metrics().get(("footfall_kafka_partitions",)) == 2)
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
                produce(broker, topic, views(cup, 500))
                await group.until_read(topic, 1_001)
                assert process.poll() is None
                await until_counted(shop.stack, cup, 1_000)
                assert {value for value, _ in group.dead()} == {b"no JSON"}
                assert group.end(process) == 0
        finally:
            broker.kill()


async def test_shards_take_their_own_accounts(shop: Shop, kafka: KafkaServer) -> None:
    """Both read everything: they do not share the topic's partitions."""
    cup = unique("cup")
    with consuming(shop.stack, kafka, ["interaction"], partitions=2) as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 400))
        for shard in ("0/2", "1/2"):
            group.settings["FOOTFALL_SHARD"] = shard
            group.start()

        def told(*name: str) -> list[float]:
            return [group.metrics(one).get(name, 0) if group.is_telling(one) else 0 for one in (0, 1)]

        await until(lambda: told("footfall_kafka_messages_total", topic) == [400, 400])
        first, second = told("footfall_kafka_foreign_total")
        assert first + second == 400
        assert 100 < first < 300
        await until_counted(shop.stack, cup, 400)


async def test_a_password_from_the_file(shop: Shop, kafka: KafkaServer, tmp_path: Path) -> None:
    cup, options = unique("cup"), tmp_path / "client.properties"
    options.write_text(
        "# how we are known\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism = PLAIN\n"
        f"sasl.username={USERNAME}\nsasl.password={PASSWORD}\n"
    )
    secured = {"FOOTFALL_KAFKA_BOOTSTRAP": kafka.sasl_bootstrap, "FOOTFALL_KAFKA_CONFIG_FILE": str(options)}
    with consuming(shop.stack, kafka, ["interaction"], 1, **secured) as group:
        (topic,) = group.topics
        produce(kafka, topic, [*views(cup, 10), b"no JSON"])
        group.start()
        await group.until_read(topic, 11)
        await until_counted(shop.stack, cup, 10)
        assert len(group.dead()) == 1


async def test_it_does_not_start_without_a_place_for_dead_letters(shop: Shop, kafka: KafkaServer) -> None:
    with consuming(shop.stack, kafka, ["interaction"]) as group:
        for dead_letters, said in (
            ("", "FOOTFALL_KAFKA_DEAD_LETTER_TOPIC: not set"),
            (next(iter(group.topics)), "it is among"),
            ("nowhere", "nowhere: Broker: Unknown topic or partition"),
        ):
            group.settings["FOOTFALL_KAFKA_DEAD_LETTER_TOPIC"] = dead_letters
            assert await asyncio.to_thread(group.start().wait, 60) == 1
            assert said in group.log()
            assert "Traceback" not in group.log()
