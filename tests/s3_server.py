"""A server that speaks S3, started once a session: real HTTP, buckets and signatures, kept in its memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer

_KEYS = {"AWS_ACCESS_KEY_ID": "footfall", "AWS_SECRET_ACCESS_KEY": "footfall", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class S3Server:
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it, by the names that AWS's own tools know."""
        return {**_KEYS, "AWS_ENDPOINT_URL_S3": self.endpoint}

    def bucket(self) -> str:
        """The URL of a new one."""
        name = f"models-{uuid4()}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="footfall",
            aws_secret_access_key="footfall",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=name)
        return f"s3://{name}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running one; this process's environment leads to it."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    found = S3Server(f"http://{host}:{port}")
    before = {name: os.environ.get(name) for name in found.environment}
    os.environ.update(found.environment)
    try:
        yield found
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        server.stop()
