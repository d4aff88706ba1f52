"""zstd as blocks use it: frames without what the block's header says already, small ones with a dictionary.

Not for several threads at once: a compressor holds its work in one place.
"""

from functools import cache
from importlib import resources

import zstandard

from domain.errors import CorruptBlockError
from domain.frame import MAX_PAYLOAD_BYTES

PLAIN, ZSTD, ZSTD_DICTIONARY = range(3)

# What a frame starts with when it has no content size, no checksum and no dictionary id. A frame that names a size
# of its own would have that much memory taken for it before a byte is read.
_FRAME_DESCRIPTOR = b"\0"

# Small columns have little to repeat but what the dictionary has; large ones need none.
_DICTIONARY_UP_TO_BYTES = 1_024


def compress(payload: bytes, level: int) -> tuple[int, bytes]:
    """A codec and the payload in it, never larger than it was; `level` is zstd's."""
    codec = ZSTD_DICTIONARY if len(payload) <= _DICTIONARY_UP_TO_BYTES else ZSTD
    stored = _compressor(codec, level).compress(payload)
    return (codec, stored) if len(stored) < len(payload) else (PLAIN, payload)


def expand(codec: int, stored: bytes, length: int) -> bytes:
    """The payload, which has so many bytes.

    Raises:
        CorruptBlockError: it has not, or can't be read.

    """
    if length > MAX_PAYLOAD_BYTES:
        raise CorruptBlockError(f"columns of {length} bytes are over the limit of {MAX_PAYLOAD_BYTES}")
    if codec == PLAIN:
        payload = stored
    elif codec in {ZSTD, ZSTD_DICTIONARY}:
        if stored[:1] != _FRAME_DESCRIPTOR:
            raise CorruptBlockError("zstd: a frame that says more than blocks let it")
        try:
            payload = _decompressor(codec).decompress(stored, max_output_size=max(length, 1))
        except zstandard.ZstdError as error:
            raise CorruptBlockError(f"zstd: {error}") from error
    else:
        raise CorruptBlockError(f"unknown codec {codec}")
    if len(payload) != length:
        raise CorruptBlockError(f"the columns have {len(payload)} bytes, the header says {length}")
    return payload


@cache
def _compressor(codec: int, level: int) -> zstandard.ZstdCompressor:
    dictionary = _dictionary() if codec == ZSTD_DICTIONARY else None
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    if dictionary is not None:
        dictionary.precompute_compress(compression_params=parameters)
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)


@cache
def _decompressor(codec: int) -> zstandard.ZstdDecompressor:
    dictionary = _dictionary() if codec == ZSTD_DICTIONARY else None
    return zstandard.ZstdDecompressor(dict_data=dictionary, format=zstandard.FORMAT_ZSTD1_MAGICLESS)


def _dictionary() -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict((resources.files("domain") / "dictionaries" / "1.zdict").read_bytes())
