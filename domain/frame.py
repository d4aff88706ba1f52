"""The frame around every stored payload: version, codec, count, length and checksum, then the bytes.

    offset  size  field
    0       1     version, 1
    1       1     codec of the payload: 0 as it is, 1 zstd
    2       4     number of interactions inside, little endian
    6       4     length of the payload before compression in bytes, little endian
    10      4     CRC-32 (as zlib has it) of bytes 0 to 9 and of the stored payload, little endian
    14      …     the stored payload

A payload is compressed only where that makes it smaller. CRC-32 finds every single flipped bit; the zstd
frame itself carries no second checksum.
"""

import struct
import zlib

import zstandard

from domain.errors import CorruptBlockError

VERSION = 1
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024

_CODEC_PLAIN = 0
_CODEC_ZSTD = 1
_COMPRESSIBLE_BYTES = 64  # below this zstd's own header eats what it saves

_HEAD = struct.Struct("<BBII")
_CHECKSUM = struct.Struct("<I")
_PAYLOAD_AT = _HEAD.size + _CHECKSUM.size

_compressors = {
    level: zstandard.ZstdCompressor(level=level, write_content_size=False, write_checksum=False)
    for level in (1, 3, 9)
}
_decompressor = zstandard.ZstdDecompressor()


def pack(count: int, payload: bytes, *, level: int = 3) -> bytes:
    """A frame around `payload`, which holds `count` interactions.

    Raises:
        ValueError: the payload is over MAX_PAYLOAD_BYTES.

    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a payload of {len(payload)} bytes is over the limit of {MAX_PAYLOAD_BYTES}")
    codec, stored = _CODEC_PLAIN, payload
    if len(payload) >= _COMPRESSIBLE_BYTES:
        smaller = _compressors[level].compress(payload)
        if len(smaller) < len(payload):
            codec, stored = _CODEC_ZSTD, smaller
    head = _HEAD.pack(VERSION, codec, count, len(payload))
    return head + _CHECKSUM.pack(zlib.crc32(stored, zlib.crc32(head))) + stored


def unpack(data: bytes) -> tuple[int, bytes]:
    """The count and the payload of a frame.

    Raises:
        CorruptBlockError: truncated, altered, too large, or of an unknown version or codec.

    """
    if len(data) < _PAYLOAD_AT:
        raise CorruptBlockError(f"a frame is at least {_PAYLOAD_AT} bytes long, this one has {len(data)}")
    version, codec, count, length = _HEAD.unpack_from(data)
    if version != VERSION:
        raise CorruptBlockError(f"unknown frame version {version}, expected {VERSION}")
    stored = data[_PAYLOAD_AT:]
    (expected,) = _CHECKSUM.unpack_from(data, _HEAD.size)
    if zlib.crc32(stored, zlib.crc32(data[: _HEAD.size])) != expected:
        raise CorruptBlockError("checksum mismatch: the frame is truncated or was altered")
    if length > MAX_PAYLOAD_BYTES:
        raise CorruptBlockError(f"a payload of {length} bytes is over the limit of {MAX_PAYLOAD_BYTES}")
    payload = _expand(codec, stored, length)
    if len(payload) != length:
        raise CorruptBlockError(f"the payload has {len(payload)} bytes, its header says {length}")
    return count, payload


def _expand(codec: int, stored: bytes, length: int) -> bytes:
    if codec == _CODEC_PLAIN:
        return stored
    if codec != _CODEC_ZSTD:
        raise CorruptBlockError(f"unknown codec {codec}")
    try:
        if zstandard.frame_content_size(stored) > length:  # so much memory would be taken before a byte is read
            raise CorruptBlockError(f"the payload names a size of its own, over the {length} bytes of its header")
        return _decompressor.decompress(stored, max_output_size=max(length, 1))
    except zstandard.ZstdError as error:
        raise CorruptBlockError(f"zstd: {error}") from error
