"""Actions in columns, as training reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.actions import signal_types
from domain.event_types import EventWeight
from recommend.arrays import NONE, Codes, Flags, Floats, Moments, Places
from recommend.kinds import Kinds


@dataclass(frozen=True, slots=True, eq=False)
class ActionTable:
    """Actions of all accounts, by account and then by time; those of one moment stay in the order they came in."""

    account: Codes
    item: Codes
    kind: Codes
    """The event type's place in `kinds`."""
    at_us: Moments
    session: Codes
    """NONE: without a session."""
    price: Floats
    """NaN: not told."""
    starts: Places
    """Where each account's actions begin, and, one longer, where the last one's end."""
    account_ids: Sequence[str]
    item_ids: Sequence[str]
    """All items that codes stand for, also those without actions here."""
    kinds: Kinds

    def __len__(self) -> int:
        return len(self.item)

    def of_account(self, account: int) -> slice:
        return slice(int(self.starts[account]), int(self.starts[account + 1]))

    def only(self, keep: Flags) -> "ActionTable":
        """Those that `keep` marks; the codes stay what they are."""
        account = self.account[keep]
        return ActionTable(
            account,
            self.item[keep],
            self.kind[keep],
            self.at_us[keep],
            self.session[keep],
            self.price[keep],
            _starts(account, len(self.account_ids)),
            self.account_ids,
            self.item_ids,
            self.kinds,
        )

    def before(self, moment_us: int) -> "ActionTable":
        return self.only(self.at_us < moment_us)

    def places_from_last(self) -> Places:
        """Of each action its place counted from its account's last, which is 0."""
        return self.starts[self.account + 1] - 1 - np.arange(len(self))


def read_actions(table: pa.Table, weights: Mapping[str, EventWeight], catalog_ids: Sequence[str] = ()) -> ActionTable:
    """Columns account_id, item_id, event_type, occurred_at (microseconds), and, when there, session_id and price.

    What is no signal of an account, such as an impression, is left out. Items are coded as `catalog_ids` has them;
    those that it has not follow, in the order of their ids.
    """
    kinds = Kinds.of(weights)
    signals = pa.array(sorted(signal_types(weights.keys())), pa.string())
    table = table.filter(pc.is_in(table["event_type"].cast(pa.string()), value_set=signals))
    account, account_ids = _coded(table["account_id"])
    items = table["item_id"].cast(pa.string())
    known = pa.array(catalog_ids, pa.string())
    unknown = pc.unique(items.filter(pc.invert(pc.is_in(items, value_set=known)))).sort()
    item_ids = [*catalog_ids, *unknown.to_pylist()]
    item = _codes(pc.index_in(items, value_set=pa.array(item_ids, pa.string())))
    kind = _codes(pc.index_in(table["event_type"].cast(pa.string()), value_set=pa.array(kinds.names, pa.string())))
    at_us = table["occurred_at"].cast(pa.int64()).to_numpy()
    order = np.lexsort((at_us, account))
    account = account[order]
    return ActionTable(
        account,
        item[order],
        kind[order],
        at_us[order],
        _sessions(table)[order],
        _prices(table)[order],
        _starts(account, len(account_ids)),
        account_ids,
        item_ids,
        kinds,
    )


def _starts(account: Codes, accounts: int) -> Places:
    return np.searchsorted(account, np.arange(accounts + 1))


def _codes(column: Any) -> Codes:
    return np.asarray(pc.fill_null(column, NONE).to_numpy(), dtype=np.int32)


def _coded(column: Any) -> tuple[Codes, list[str]]:
    ids = pc.unique(column.cast(pa.string())).drop_null().sort()
    return _codes(pc.index_in(column.cast(pa.string()), value_set=ids)), ids.to_pylist()


def _sessions(table: pa.Table) -> Codes:
    if "session_id" not in table.column_names:
        return np.full(table.num_rows, NONE, np.int32)
    return _coded(table["session_id"])[0]


def _prices(table: pa.Table) -> Floats:
    if "price" not in table.column_names:
        return np.full(table.num_rows, np.nan, np.float32)
    return np.asarray(table["price"].cast(pa.float32()).to_numpy(), dtype=np.float32)
