"""A process that was told to end leaves first: it serves on for a while, and has proxies and clients go elsewhere."""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Leaving:
    """`port_stays` tells whether other processes go on serving this port."""

    def __init__(self, port_stays: Callable[[], bool] = lambda: False) -> None:
        self._port_stays = port_stays
        self.begun = False

    def begin(self) -> None:
        self.begun = True

    @property
    def port_closes(self) -> bool:
        """Soon, and new requests are to go elsewhere."""
        return self.begun and not self._port_stays()


class CloseWhenLeaving:
    """From then on every answer ends its connection, and says so: none is closed while a client sends into it."""

    def __init__(self, app: ASGIApp, *, leaving: Leaving) -> None:
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing_send(message: Message) -> None:
            if message["type"] == "http.response.start" and self._leaving.begun:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, closing_send)
