"""What an account sends in its own name: it need not say which it is, and can't be another."""

from http import HTTPStatus
from typing import Protocol, TypeVar

from api.bodies import Parsed
from api.problems import Problem


class _OfAccount(Protocol):
    account_id: str | None


_M = TypeVar("_M", bound=_OfAccount)


def claimed(parsed: Parsed[_M], account_id: str) -> Parsed[_M]:
    """All of them as this account's.

    Raises:
        Problem: 403. Some name another account.

    """
    foreign = []
    for index, one in parsed.valid:
        if one.account_id is None:
            one.account_id = account_id
        elif one.account_id != account_id:
            foreign.append(parsed.fault(index, ["account_id"], "not the token's account"))
    if foreign:
        detail = f"The token is of account {account_id!r}, and writes for no other."
        raise Problem(HTTPStatus.FORBIDDEN, detail, errors=foreign, reason="foreign_account")
    return parsed
