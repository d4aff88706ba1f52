"""No secret in a log, whoever put it into a message."""

import pytest

from domain.access import new_key
from runtime.logs import redacted


def test_what_looks_like_a_secret_is_left_out() -> None:
    key = new_key()
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    text = f"{key.text} Authorization: Bearer {token} {token} postgresql://me:p-ss%40w@db:5432/x redis://:pw1@r"
    said = redacted(text)
    assert said == (
        f"ff_{key.key_id}_*** Authorization: Bearer *** eyJ*** postgresql://me:***@db:5432/x redis://:***@r"
    )


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8000/a@b", "at 12:30, by me@shop.example", "postgresql://me@db/x"]
)
def test_other_text_stays(text: str) -> None:
    assert redacted(text) == text
