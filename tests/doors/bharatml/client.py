"""A client of BharatML's interaction store, made at test time of client.proto."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_tools import protoc

from runtime.ports import free_port
from tests.conftest import eventually
from tests.factories import now_us
from tests.stack import Stack

SERVICE = "proto.InteractionStoreTimeSeriesService"
_HERE = Path(__file__).parent


@cache
def _pool() -> DescriptorPool:
    """One of its own: the product's descriptors have the same names."""
    pool = DescriptorPool()
    with tempfile.NamedTemporaryFile() as made:
        arguments = ["protoc", f"--proto_path={_HERE}", f"--descriptor_set_out={made.name}", "client.proto"]
        assert protoc.main(arguments) == 0
        for file in FileDescriptorSet.FromString(Path(made.name).read_bytes()).file:
            pool.Add(file)
    return pool


def message(name: str, **fields: Any) -> Any:
    made: Any = GetMessageClass(_pool().FindMessageTypeByName(f"proto.{name}"))
    return made(**fields)


class Client:
    """Each of the service's calls is a method that takes the fields of its request."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self.channel = channel
        self._metadata = metadata
        service: Any = _pool().FindServiceByName(SERVICE)
        self._methods = {one.name: one for one in service.methods}

    def __getattr__(self, name: str) -> Any:
        method = self._methods[name]
        request: Any = GetMessageClass(method.input_type)
        call = self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )

        def start(timeout: float = 30, **fields: Any) -> Any:
            return call(request(**fields), timeout=timeout, metadata=self._metadata)

        return start

    async def raw(self, name: str, data: bytes, **options: Any) -> bytes:
        """A call of bytes that may be no request."""
        call: Any = self.channel.unary_unary(f"/{SERVICE}/{name}")
        answer: bytes = await call(data, timeout=30, **options)
        return answer

    async def health(self, service: str = "") -> int:
        """Its status; that of what is not known is a NOT_FOUND."""
        call = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        return (await call(HealthCheckRequest(service=service), timeout=10)).status


def click(product_id: int = 1, timestamp: int | None = None, **fields: Any) -> Any:
    return message(
        "ClickData", product_id=product_id, timestamp=now_ms() if timestamp is None else timestamp, **fields
    )


def order(product_id: int = 1, timestamp: int | None = None, **fields: Any) -> Any:
    return message(
        "OrderData", product_id=product_id, timestamp=now_ms() if timestamp is None else timestamp, **fields
    )


def now_ms() -> int:
    return now_us() // 1_000


def lately() -> dict[str, int]:
    """A range that ends now, and how much."""
    return {"start_timestamp": now_ms() - 7 * 86_400_000, "end_timestamp": now_ms(), "limit": 2_000}


def status(error: grpc.aio.AioRpcError) -> Status:
    """What trailing metadata says for programs."""
    (details,) = (value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin")
    assert isinstance(details, bytes)
    return Status.FromString(details)


def violations(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Field → what is wrong with it."""
    (packed,) = status(error).details
    bad = BadRequest()
    assert packed.Unpack(bad)
    return {one.field: one.description for one in bad.field_violations}


def retry_delay_s(error: grpc.aio.AioRpcError) -> float:
    (packed,) = status(error).details
    info = RetryInfo()
    assert packed.Unpack(info)
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)


@contextmanager
def grpc_beside(stack: Stack, **settings: str) -> Iterator[Stack]:
    """A gRPC process of its own on the stack's database; it may not be ready yet."""
    ports = {"FOOTFALL_GRPC_PORT": str(free_port("127.0.0.1", 0)), "FOOTFALL_GRPC_METRICS_PORT": "0"}
    other = replace(stack, processes={}, settings={**stack.settings, **ports, **settings})
    other.start_unready("grpc")
    try:
        yield other
    finally:
        if "grpc" in other.processes:
            other.kill("grpc")


def target(stack: Stack) -> str:
    return f"127.0.0.1:{stack.settings['FOOTFALL_GRPC_PORT']}"


@asynccontextmanager
async def connected(stack: Stack, secret: str | None = None, header: str = "authorization") -> AsyncIterator[Client]:
    """A client of a gRPC process, once that listens."""
    metadata: tuple[tuple[str, str], ...] = ()
    if secret is not None:
        metadata = ((header, secret if header == "x-api-key" else f"Bearer {secret}"),)
    async with grpc.aio.insecure_channel(target(stack)) as channel:
        client = Client(channel, metadata)

        async def listens() -> None:
            assert stack.processes["grpc"].poll() is None, (stack.logs / "grpc.log").read_text()[-3000:]
            try:
                await client.health(SERVICE)
            except grpc.aio.AioRpcError as error:
                raise AssertionError from error

        await eventually(listens, within_s=60)
        yield client
