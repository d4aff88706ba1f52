"""Asks a gRPC process whether it serves, for health checks: `python -m doors.bharatml.ask_health HOST:PORT`."""

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_TIMEOUT_S = 5.0


def serves(address: str) -> bool:
    """Whether it answers, and so does all that it depends on."""
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            return bool(check(HealthCheckRequest(), timeout=_TIMEOUT_S).status == HealthCheckResponse.SERVING)
        except grpc.RpcError as error:
            print(error.code(), file=sys.stderr)  # noqa: T201
            return False


if __name__ == "__main__":
    sys.exit(0 if serves(sys.argv[1]) else 1)
