"""An intake that is divided takes only the accounts of its own shard."""

from collections.abc import Iterable
from http import HTTPStatus

from api.problems import Problem
from domain.shard import Shard, shard_of


def check_shard(shard: Shard | None, account_ids: Iterable[str]) -> None:
    """Lets pass what belongs here; everything where the intake is not divided.

    Raises:
        Problem: 421. Another shard's ledger knows this account's event ids, this one would count them again.

    """
    if shard is None:
        return
    foreign = next((one for one in account_ids if not shard.holds(one)), None)
    if foreign is not None:
        its = Shard(shard_of(foreign, shard.of), shard.of)
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST, f"Account {foreign!r} belongs to shard {its}, and this is shard {shard}."
        )
