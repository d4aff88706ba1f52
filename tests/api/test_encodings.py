"""Compressed bodies: taken as what is in them, within the same bounds, and refused where they are not whole."""

import asyncio
import gzip
import json
import os
import random
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
import zstandard

from tests.conftest import Temporal
from tests.factories import body
from tests.stack import Stack

JSON, NDJSON = "application/json", "application/x-ndjson"
_MEBI = 1024 * 1024
_PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


async def _post(
    http: httpx.AsyncClient, content: Any, coding: str, media_type: str = JSON, **options: Any
) -> httpx.Response:
    headers = {"content-type": media_type, "content-encoding": coding}
    return await http.post("/interaction", content=content, headers=headers, timeout=60, **options)


def _problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


def _json(count: int) -> tuple[list[str], bytes]:
    ids = [str(uuid4()) for _ in range(count)]
    return ids, json.dumps({"interactions": [body(event_id=one) for one in ids]}).encode()


def _lines(count: int) -> tuple[list[str], bytes]:
    ids = [str(uuid4()) for _ in range(count)]
    return ids, b"".join(json.dumps(body(event_id=one)).encode() + b"\n" for one in ids)


def _zstd_of_two_frames_without_sizes(plain: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
    return packer.compress(plain[:100]) + packer.compress(plain[100:])


def _large_window(plain: bytes) -> bytes:
    """As `zstd --long=23`: what RFC 9659 lets senders use at most."""
    return _zstd_with_window(23, plain)


def _zstd_with_window(log: int, plain: bytes) -> bytes:
    settings = zstandard.ZstdCompressionParameters(window_log=log)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    packed = packer.compress(plain) + packer.flush()
    assert zstandard.get_frame_parameters(packed).window_size == 1 << log
    return packed


_WAYS: list[tuple[str, Callable[[bytes], bytes]]] = [
    *_PACKED.items(),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("gzip, identity", gzip.compress),
    ("gzip", lambda plain: gzip.compress(plain[:100]) + gzip.compress(b"") + gzip.compress(plain[100:])),
    ("zstd", _zstd_of_two_frames_without_sizes),
    ("zstd", _large_window),
    ("identity", bytes),
]


@pytest.mark.parametrize(("coding", "packed"), _WAYS)
@pytest.mark.parametrize(("media_type", "made"), [(JSON, _json), (NDJSON, _lines)])
async def test_what_is_in_it_is_recorded(
    http: httpx.AsyncClient,
    coding: str,
    packed: Callable[[bytes], bytes],
    media_type: str,
    made: Callable[[int], tuple[list[str], bytes]],
) -> None:
    ids, plain = made(500)
    first = await _post(http, packed(plain), coding, media_type)
    assert first.status_code == 202, first.text
    assert first.json()["event_ids"] == ids
    again = await http.post("/interaction", content=plain, headers={"content-type": media_type})
    assert again.json()["duplicates"] == 500


@pytest.mark.parametrize("coding", _PACKED)
async def test_ten_thousand_in_a_stream(http: httpx.AsyncClient, coding: str) -> None:
    ids, plain = _lines(10_000)
    packed = _PACKED[coding](plain)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(packed), 10_007):
            yield packed[at : at + 10_007]

    answer = await _post(http, chunks(), coding, NDJSON)
    assert answer.status_code == 202, answer.text
    assert answer.json()["event_ids"] == ids


@pytest.mark.parametrize("coding", _PACKED)
async def test_the_other_routes_that_take_json(http: httpx.AsyncClient, coding: str) -> None:
    headers = {"content-type": JSON, "content-encoding": coding}
    feedback = _PACKED[coding](json.dumps({"account_id": "alice", "item_id": "cup", "kind": "like"}).encode())
    assert (await http.post("/feedback", content=feedback, headers=headers)).status_code == 202
    item = _PACKED[coding](json.dumps({"item_id": str(uuid4()), "title": "Cup"}).encode())
    assert (await http.put("/items", content=item, headers=headers)).json() == {"stored": 1}
    assert (await http.put("/items", content=item[:-1], headers=headers)).status_code == 400


def _exactly(size: int, media_type: str) -> bytes:
    """A valid body of so many bytes, with spaces behind; its parts are random, and so it stays long when packed."""
    notes = [os.urandom(1_400).hex() for _ in range(size // 3_200)]
    sent = [body(metadata={"note": note}) for note in notes]
    if media_type == JSON:
        plain = json.dumps({"interactions": sent}).encode()
    else:
        plain = b"".join(json.dumps(one).encode() + b"\n" for one in sent)
    assert 0.9 * size < len(plain) < size
    return plain + b" " * (size - len(plain))


@pytest.mark.parametrize("coding", _PACKED)
@pytest.mark.parametrize(("media_type", "most"), [(JSON, _MEBI), (NDJSON, 8 * _MEBI)])
async def test_the_bound_is_on_what_is_unpacked_to_the_byte(
    http: httpx.AsyncClient, coding: str, media_type: str, most: int
) -> None:
    fits = await _post(http, _PACKED[coding](_exactly(most, media_type)), coding, media_type)
    assert fits.status_code == 202, fits.text
    over = _problem(await _post(http, _PACKED[coding](_exactly(most + 1, media_type)), coding, media_type), 413)
    assert over["detail"] == f"The body is over {most} bytes when it is unpacked; send fewer at once."


async def test_a_packed_body_over_the_bound_is_refused_as_it_comes(http: httpx.AsyncClient) -> None:
    problem = _problem(await _post(http, os.urandom(_MEBI + 1), "gzip"), 413)
    assert problem["detail"] == f"The body is over {_MEBI} bytes; send fewer at once."


def _gzip_bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(_MEBI)
    return b"".join([*(packer.compress(zeros) for _ in range(size // _MEBI)), packer.flush()])


def _zstd_bomb(size: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    zeros = bytes(_MEBI)
    return b"".join([*(packer.compress(zeros) for _ in range(size // _MEBI)), packer.flush()])


def _zstd_bomb_that_names_its_size(size: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj(size=size)
    zeros = bytes(_MEBI)
    return b"".join([*(packer.compress(zeros) for _ in range(size // _MEBI)), packer.flush()])


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(
    ("coding", "bomb"),
    [("gzip", _gzip_bomb), ("zstd", _zstd_bomb), ("zstd", _zstd_bomb_that_names_its_size)],
)
async def test_a_bomb_takes_no_more_memory_than_the_bound(
    http: httpx.AsyncClient, stack: Stack, coding: str, bomb: Callable[[int], bytes], media_type: str
) -> None:
    pid = stack.processes["api"].pid
    packed = bomb(512 * _MEBI)
    assert len(packed) < _MEBI
    for _ in range(3):
        _problem(await _post(http, packed, coding, media_type), 413)
    resident = psutil.Process(pid).memory_info().rss // 1024
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forgets the peak so far
    for _ in range(3):
        _problem(await _post(http, packed, coding, media_type), 413)
    assert _peak_kib(pid) - resident < 48 * 1024


def _of_many_members(plain: bytes) -> bytes:
    return gzip.compress(b"") * 1_001 + gzip.compress(plain)


def _larger_window(plain: bytes) -> bytes:
    return _zstd_with_window(24, plain)


def _altered(packed: bytes) -> bytes:
    return packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]


_BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("gzip", lambda plain: gzip.compress(plain)[:-1], "cut off"),
    ("gzip", lambda plain: gzip.compress(plain)[:50], "cut off"),
    ("gzip", lambda plain: gzip.compress(plain) + gzip.compress(plain)[:5], "cut off"),
    ("gzip", lambda _: b"", "cut off"),
    ("gzip", lambda plain: gzip.compress(plain) + b"rest", "incorrect header check"),
    ("gzip", lambda plain: _altered(gzip.compress(plain)), "incorrect data check"),
    ("gzip", lambda plain: plain, "incorrect header check"),
    ("gzip", zlib.compress, "incorrect header check"),
    ("gzip", _PACKED["zstd"], "incorrect header check"),
    ("gzip", _of_many_members, "over 1000 members"),
    ("zstd", lambda plain: _PACKED["zstd"](plain)[:-1], ""),
    ("zstd", lambda plain: _PACKED["zstd"](plain)[:3], ""),
    ("zstd", lambda plain: _zstd_of_two_frames_without_sizes(plain)[:-1], ""),
    ("zstd", lambda plain: _PACKED["zstd"](plain) + b"rest", "Unknown frame descriptor"),
    ("zstd", lambda plain: _altered(_zstd_of_two_frames_without_sizes(plain)), ""),
    ("zstd", lambda plain: plain, "Unknown frame descriptor"),
    ("zstd", gzip.compress, "Unknown frame descriptor"),
    ("zstd", _larger_window, "too much memory"),
]


@pytest.mark.parametrize(("coding", "broken", "reason"), _BROKEN)
async def test_what_is_not_whole_or_of_another_coding_is_400(
    http: httpx.AsyncClient, coding: str, broken: Callable[[bytes], bytes], reason: str
) -> None:
    ids, plain = _json(20)
    problem = _problem(await _post(http, broken(plain), coding), 400)
    assert problem["detail"].startswith(f"The body can't be unpacked as {coding}: ")
    assert reason in problem["detail"]
    assert (await http.get(f"/interaction/{ids[0]}")).status_code == 404


@pytest.mark.parametrize("cut", [*range(1, 40), 60, 80])
async def test_a_zstd_body_is_refused_wherever_it_is_cut_off(http: httpx.AsyncClient, cut: int) -> None:
    """Of which what is before the cut would be an interaction already."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    packed = packer.compress(json.dumps(body()).encode()) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    packed += packer.compress(bytes(random.Random(1).choices(b" \t\r\n", k=600))) + packer.flush()
    assert (await _post(http, packed, "zstd")).status_code == 202
    problem = _problem(await _post(http, packed[:-cut], "zstd"), 400)
    assert problem["detail"].startswith("The body can't be unpacked as zstd: ")


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, zstd", "gzip, gzip", "nonsense"])
async def test_other_codings_and_several_are_415_and_told_which_are_taken(
    http: httpx.AsyncClient, coding: str
) -> None:
    answer = await _post(http, gzip.compress(json.dumps(body()).encode()), coding)
    assert coding in _problem(answer, 415)["detail"]
    assert answer.headers["accept-encoding"] == "gzip, zstd"


async def test_codings_in_two_headers_are_several(http: httpx.AsyncClient) -> None:
    headers = [("content-type", JSON), ("content-encoding", "gzip"), ("content-encoding", "gzip")]
    packed = gzip.compress(gzip.compress(json.dumps(body()).encode()))
    _problem(await http.post("/interaction", content=packed, headers=headers), 415)


async def test_a_fault_in_it_is_told_as_ever(http: httpx.AsyncClient) -> None:
    content = gzip.compress(json.dumps(body()).encode() + b"\n{}\n")
    assert {one["line"] for one in _problem(await _post(http, content, "gzip", NDJSON), 422)["errors"]} == {2}
    assert "not JSON" in _problem(await _post(http, gzip.compress(b"{"), "gzip"), 400)["detail"]


async def test_what_is_unpacked_counts_among_what_is_under_way(
    database_url: str, temporal: Temporal, tmp_path: Path
) -> None:
    """Two that are small as they come, and do not fit together as they are unpacked; one by itself always does."""
    stack = Stack(database_url, temporal.address, tmp_path, {"FOOTFALL_NDJSON_BYTES_AT_ONCE": "1000000"})
    stack.start("api")
    try:
        async with httpx.AsyncClient(base_url=stack.url) as http:
            event = json.dumps(body(metadata={"note": "x" * 4_000})).encode() + b"\n"
            packed = gzip.compress(event * 1_500)
            assert len(packed) < 100_000
            assert (await _post(http, packed, "gzip", NDJSON)).status_code == 202
            answers = await asyncio.gather(*(_post(http, packed, "gzip", NDJSON) for _ in range(4)))
            told = sorted(one.status_code for one in answers)
            assert told[0] == 202
            assert told[-1] == 503
            refused = next(one for one in answers if one.status_code == 503)
            assert int(refused.headers["retry-after"]) > 0
            assert (await _post(http, packed, "gzip", NDJSON)).status_code == 202
            assert (await http.post("/interaction", json=body())).status_code == 202
    finally:
        stack.stop()
