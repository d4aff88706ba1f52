"""Compressed bodies: unpacked piece by piece, so that a small one never becomes more than is allowed."""

import zlib
from collections.abc import Callable, Iterator
from http import HTTPStatus

import zstandard

from api.problems import Problem
from api.turns import Turns

TAKEN = ("gzip", "zstd")
"""Content codings (RFC 9110, section 8.4.1)."""

_SAME_AS = {"x-gzip": "gzip"}

_PIECE_BYTES = 65_536
_MOST_MEMBERS = 1_000
"""Of one gzip body. Each costs some work even where nothing is in it."""

_WINDOW_BYTES = 8 * 1024 * 1024
"""The most that zstd may look back, and so keep: what RFC 9659 lets senders use in HTTP."""

# The library's reader does not say whether the last frame was cut off. So one of ours is read behind it: its content
# comes out at the end if, and only if, what was before it was whole. UTF-8 has no such bytes.
_END = b"\xff" * 77
_END_FRAME = zstandard.ZstdCompressor(level=1).compress(_END)

Grow = Callable[[int], None]
"""Told of so many bytes more before they are kept; raises where there is no room for them."""


def coding_of(headers: list[str]) -> str | None:
    """The content coding that the Content-Encoding headers of a request name; None where the body is as it is.

    Raises:
        Problem: 415. It is none that is taken, or they are several.

    """
    named = [one.strip().lower() for header in headers for one in header.split(",") if one.strip()]
    codings = [_SAME_AS.get(one, one) for one in named if one != "identity"]
    if not codings:
        return None
    if len(codings) == 1 and codings[0] in TAKEN:
        return codings[0]
    raise Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"Content-Encoding may be {' or '.join(TAKEN)}, one of them and once, not {', '.join(named)}.",
        headers={"Accept-Encoding": ", ".join(TAKEN)},  # RFC 9110, section 15.5.16
    )


def unpacked(coding: str, packed: bytes, longest: int, grow: Grow) -> Turns[bytes]:
    """The body, of at most `longest` bytes.

    Raises:
        Problem: 400, it is not whole or not of this coding; 413, it is over `longest` bytes.

    """
    pieces, size = [], 0
    try:
        for piece in _gunzipped(packed) if coding == "gzip" else _unzstd(packed):
            size += len(piece)
            if size > longest:
                raise Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The body is over {longest} bytes when it is unpacked; send fewer at once.",
                )
            grow(len(piece))
            pieces.append(piece)
            yield
    except (zlib.error, zstandard.ZstdError, _BrokenError) as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"The body can't be unpacked as {coding}: {error}", reason="not_unpacked"
        ) from error
    return b"".join(pieces)


class _BrokenError(Exception):
    pass


def _gunzipped(packed: bytes) -> Iterator[bytes]:
    """Of one member or several (RFC 1952, section 2.2), in pieces of bounded size."""
    member, members = zlib.decompressobj(wbits=31), 1
    for at in range(0, len(packed), _PIECE_BYTES):
        rest = packed[at : at + _PIECE_BYTES]
        while rest:
            if member.eof:
                member, members = zlib.decompressobj(wbits=31), members + 1
                if members > _MOST_MEMBERS:
                    raise _BrokenError(f"it has over {_MOST_MEMBERS} members")
            piece = member.decompress(rest, _PIECE_BYTES)
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if piece:
                yield piece
    while not member.eof and (piece := member.decompress(member.unconsumed_tail, _PIECE_BYTES)):
        yield piece  # what zlib still held when all had been given to it
    if not member.eof:
        raise _BrokenError("it is cut off")


def _unzstd(packed: bytes) -> Iterator[bytes]:
    """Of one frame or several (RFC 8878, section 3), in pieces of bounded size."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    held = b""
    with unpacker.stream_reader(packed + _END_FRAME, read_across_frames=True) as reader:
        while piece := reader.read(_PIECE_BYTES):
            held += piece
            if len(held) > len(_END):
                yield held[: -len(_END)]
                held = held[-len(_END) :]
    if held != _END:
        raise _BrokenError("it is cut off")
