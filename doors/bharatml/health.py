"""Whether this process serves, and whether what it depends on answers, as grpc.health.v1.Health tells it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from grpc_health.v1.health import OVERALL_HEALTH
from grpc_health.v1.health import aio as health
from grpc_health.v1.health_pb2 import HealthCheckResponse

_log = logging.getLogger(__name__)

_EVERY_S = 2.0
_PATIENCE_S = 2.0

Checks = Mapping[str, Callable[[], Awaitable[None]]]


class Health:
    """By name: "" is all together, as /health/ready has it; a dependency's is its own.

    The service's own name is for balancers, as /health/serving: whether to send calls here, which is from when this
    process can accept until it leaves. A store that goes down is no reason to send them elsewhere: all have the same.
    """

    def __init__(self, service: str, has_begun: Callable[[], bool], checks: Checks) -> None:
        self.servicer = health.HealthServicer()
        self._service = service
        self._has_begun = has_begun
        self._checks = checks
        self._answered: dict[str, bool] = {}

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        answers = await asyncio.gather(*(self._answers(name) for name in self._checks))
        for name, answer in zip(self._checks, answers, strict=True):
            await self._tell(name, answer)
        await self._tell(OVERALL_HEALTH, all(answers))
        await self._tell(self._service, self._has_begun())

    async def leave(self) -> None:
        """From now on nothing serves, whatever is found."""
        await self.servicer.enter_graceful_shutdown()

    async def _tell(self, name: str, serving: bool) -> None:
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)

    async def _answers(self, name: str) -> bool:
        try:
            await asyncio.wait_for(self._checks[name](), _PATIENCE_S)
        except Exception as error:  # whatever it is, the dependency does not serve
            if self._answered.get(name, True):
                _log.warning("%s does not answer: %s: %s", name, type(error).__name__, error)
            self._answered[name] = False
        else:
            self._answered[name] = True
        return self._answered[name]
