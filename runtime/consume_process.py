"""The consumer process: topics of Kafka into the intake."""

import asyncio
import logging
from contextlib import AsyncExitStack

import uvloop

from domain.errors import InvalidInputError, TransientError
from doors.kafka.client import consumer_options, producer_options, read_config_file
from doors.kafka.consumer import KafkaConsumer, Reading
from doors.kafka.dead_letters import DeadLetters
from doors.kafka.recorder import Recorder
from runtime.background import in_background
from runtime.entrance import OpenEntrance, open_entrance
from runtime.limits import allow_open_files, leave_garbage_longer
from runtime.logs import set_up_logging
from runtime.metrics_port import serve_metrics
from runtime.process_metrics import tell_build
from runtime.settings import Settings
from runtime.signals import end_within, stop_event, unless_stopped
from runtime.tracing import start_tracing

_log = logging.getLogger(__name__)

_NAME = "footfall consume"
_AGAIN_AFTER_S = 1.0

# What asks a process to end kills it after 30 s.
_END_S = 28.0


def run(settings: Settings) -> None:
    """Reads until SIGTERM or SIGINT, then records what was read and commits its offsets."""
    set_up_logging(settings.log_level, settings.log_format)
    allow_open_files()
    leave_garbage_longer()
    uvloop.run(consume(settings))


async def consume(settings: Settings) -> None:
    """Raises InvalidInputError: a setting is missing or wrong."""
    bootstrap, dead_letter_topic = _insist_on_settings(settings)
    given = read_config_file(settings.kafka_config_file)
    letters = DeadLetters(dead_letter_topic, producer_options(bootstrap, given))
    stop = stop_event()
    tell_build("consumer")
    async with AsyncExitStack() as stack:
        stack.callback(letters.close)
        opened = await stack.enter_async_context(open_entrance(settings, _NAME, start_tracing("consumer", settings)))
        if settings.consumer_metrics_port:
            in_background(stack, serve_metrics(settings.consumer_metrics_host, settings.consumer_metrics_port))
        consumer = _consumer(settings, opened, letters, consumer_options(bootstrap, group_of(settings), given))
        await unless_stopped(stop, _wait(opened, letters))
        ending = asyncio.create_task(_bound_the_end(stop))
        if not stop.is_set():
            _log.info("reads %s", ", ".join(settings.kafka_topics))
            await consumer.run(stop)
        await ending


def group_of(settings: Settings) -> str:
    """Each shard has a group of its own: shards that shared one would pass over what only they are given."""
    shard = settings.shard
    return settings.kafka_group if shard is None else f"{settings.kafka_group}-{shard.number}-of-{shard.of}"


def _insist_on_settings(settings: Settings) -> tuple[str, str]:
    """The brokers and the dead letters' topic."""
    if settings.kafka_bootstrap is None:
        raise InvalidInputError("FOOTFALL_KAFKA_BOOTSTRAP: not set; host:port of some brokers")
    if not settings.kafka_topics:
        raise InvalidInputError(
            "FOOTFALL_KAFKA_TOPICS: not set; as interactions=interaction,clicks=click,orders=order"
        )
    if settings.kafka_dead_letter_topic is None:
        raise InvalidInputError(
            "FOOTFALL_KAFKA_DEAD_LETTER_TOPIC: not set; what can't be recorded has to go somewhere"
        )
    if settings.kafka_dead_letter_topic in settings.kafka_topics:
        raise InvalidInputError("FOOTFALL_KAFKA_DEAD_LETTER_TOPIC: it is among FOOTFALL_KAFKA_TOPICS")
    return settings.kafka_bootstrap, settings.kafka_dead_letter_topic


def _consumer(
    settings: Settings, opened: OpenEntrance, letters: DeadLetters, options: dict[str, object]
) -> KafkaConsumer:
    most = min(settings.commit_max_events, settings.backlog_limit_events)
    reading = Reading(settings.kafka_topics, opened.ledger_days, settings.shard, most)
    return KafkaConsumer(options, reading, Recorder(opened.entrance, letters, most_events=most))


async def _wait(opened: OpenEntrance, letters: DeadLetters) -> None:
    """Until there is somewhere to put what is read."""
    while True:
        try:
            await letters.check()
        except TransientError as error:
            _log.warning("the dead letters' topic can't be looked at yet: %s", error)
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            break
    await opened.has_days.wait()


async def _bound_the_end(stop: asyncio.Event) -> None:
    await stop.wait()
    end_within(_END_S)
