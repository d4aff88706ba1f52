"""Where messages go that can't be recorded: a topic, with the reason and the place of each."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from domain.errors import InvalidInputError, TransientError
from doors.kafka.client import Ear, Options
from doors.kafka.metrics import DEAD_LETTERS

_FLUSH_S = 15.0
_LOOK_S = 5.0
_LONGEST_REASON = 4_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, and why all or a part of it can't be recorded."""

    message: Message
    kind: str
    """In one word, of few."""
    reason: str
    """With the place in the message."""

    def headers(self, *, whole: bool) -> list[tuple[str, str | bytes | None]]:
        """Those that it came with, and ours: why it is here, and where it was."""
        _, timestamp_ms = self.message.timestamp()
        ours = {
            "footfall.kind": self.kind,
            "footfall.reason": self.reason[:_LONGEST_REASON],
            "footfall.topic": self.message.topic() or "",
            "footfall.partition": str(self.message.partition()),
            "footfall.offset": str(self.message.offset()),
            "footfall.timestamp": str(timestamp_ms),
        }
        if not whole:
            ours["footfall.left_out"] = f"a value of {len(self.message)} bytes"
        return [*(self.message.headers() or []), *((name, text.encode()) for name, text in ours.items())]


class DeadLetters:
    """A topic of them; all methods from one loop."""

    def __init__(self, topic: str, options: Options) -> None:
        """Raises InvalidInputError: the options are not what librdkafka takes."""
        self._topic = topic
        try:
            self._producer = Producer({**options, "error_cb": Ear()})
        except (KafkaException, ValueError, TypeError) as error:
            raise InvalidInputError(f"Kafka: {error}") from error
        # librdkafka waits in threads of its own; this one waits for it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dead letters")

    async def check(self) -> None:
        """Returns when the topic is there.

        Raises:
            TransientError: the cluster does not answer.
            InvalidInputError: it has no such topic.

        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._check)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when the brokers have acknowledged all.

        Raises:
            TransientError: not all of them; once more writes all of them again.

        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._bury, letters)
        for one in letters:
            DEAD_LETTERS.labels(one.message.topic(), one.kind).inc()

    def close(self) -> None:
        """What is not acknowledged is nobody's loss: its offset is not committed."""
        self._producer.purge()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _check(self) -> None:
        try:
            found = self._producer.list_topics(self._topic, timeout=_LOOK_S).topics[self._topic]
        except KafkaException as error:
            raise TransientError(f"Kafka: {error.args[0].str()}") from error
        if found.error is not None:
            raise InvalidInputError(f"FOOTFALL_KAFKA_DEAD_LETTER_TOPIC: {self._topic}: {found.error.str()}")

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        failed = self._write(letters, whole=True)
        too_large = [one for one, error in failed if error.code() == KafkaError.MSG_SIZE_TOO_LARGE]
        others = [error for _, error in failed if error.code() != KafkaError.MSG_SIZE_TOO_LARGE]
        # The topic takes less than the one that they come from; there they are still.
        others += [error for _, error in self._write(too_large, whole=False)]
        if others:
            raise TransientError(f"dead letters: {others[0].str()}")

    def _write(self, letters: Sequence[DeadLetter], *, whole: bool) -> list[tuple[DeadLetter, KafkaError]]:
        """Those that were not acknowledged. Without their values, if not `whole`."""
        errors: dict[int, KafkaError | None] = {
            number: KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001  (librdkafka's own errors are named so)
            for number in range(len(letters))
        }
        for number, letter in enumerate(letters):
            told = partial(_note, errors, number)
            message = letter.message
            try:
                self._producer.produce(
                    self._topic,
                    message.value() if whole else None,
                    message.key(),
                    on_delivery=told,
                    headers=letter.headers(whole=whole),
                )
            except KafkaException as error:  # as those that are too large for the client already
                told(error.args[0], message)
        self._producer.flush(_FLUSH_S)
        return [(letters[number], error) for number, error in errors.items() if error is not None]


def _note(errors: dict[int, KafkaError | None], number: int, error: KafkaError | None, _message: Message) -> None:
    errors[number] = error
