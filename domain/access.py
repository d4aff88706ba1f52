"""Who may do what: scopes, those who call, and the API keys that programs call with.

A key is `ff_<id>_<secret>`, where the id is ten and the secret 38 letters and digits, of which the last six are a
checksum of all before them: a secret scanner finds keys by the form and is sure of them by the checksum, and one that
was cut off is told so.

At rest there is the SHA-256 of a key. What slows down guessing, as bcrypt does, is for what people think up: a secret
here is 190 random bits, which nobody tries through, and the check is made for every request.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["ingest", "read", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

KEY_PREFIX = "ff_"
_ID_LETTERS = string.ascii_lowercase + string.digits
_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH, _RANDOM_LENGTH, _CHECK_LENGTH = 10, 32, 6
KEY_PATTERN = rf"{KEY_PREFIX}[a-z0-9]{{{_ID_LENGTH}}}_[A-Za-z0-9]{{{_RANDOM_LENGTH + _CHECK_LENGTH}}}"
_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request is from, as far as it was asked."""

    name: str
    """`key <id>`, `account <id>`, or `anybody`: what limits count by and logs may say."""
    scopes: Collection[Scope]
    account_id: str | None = None
    """The account that asks for itself; None for a program, which asks for any."""


ANYBODY = Caller("anybody", SCOPES)
"""Whoever asks where nobody has to say who they are."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key in full, which is shown once and kept nowhere."""

    key_id: str
    text: str

    @property
    def digest(self) -> bytes:
        return key_digest(self.text.encode())


def new_key() -> NewKey:
    key_id = _random(_ID_LETTERS, _ID_LENGTH)
    head = f"{KEY_PREFIX}{key_id}_{_random(_LETTERS, _RANDOM_LENGTH)}"
    return NewKey(key_id, head + _checksum(head))


def key_digest(text: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text).digest()


def is_whole_key(text: str) -> bool:
    """Whether this has a key's form and checksum."""
    return bool(_KEY.fullmatch(text)) and _checksum(text[:-_CHECK_LENGTH]) == text[-_CHECK_LENGTH:]


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _checksum(head: str) -> str:
    """CRC-32 in base 62, as GitHub's tokens have it."""
    left, digits = zlib.crc32(head.encode()), ""
    for _ in range(_CHECK_LENGTH):
        left, digit = divmod(left, len(_LETTERS))
        digits = _LETTERS[digit] + digits
    return digits
