"""What is asked of recommendations, and what is answered."""

from typing import Literal

import msgspec

Context = Literal["homepage", "similar"]
Rung = Literal["ranked", "candidates", "defaults", "precomputed", "popular", "memory"]
"""What an answer stands on, the best first: candidates put in order by the ranker; candidates by their own scores;
ranked without knowing what the account did; made ahead; popular items; popular items as last seen."""

BY_THE_MODEL: frozenset[Rung] = frozenset({"ranked", "candidates", "defaults"})
"""Rungs on which an answer is by the model and the rules that were asked for."""

MOST_ITEMS = 100
USUAL_ITEMS = 50
MOST_EXCLUDED = 1_000


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    account_id: str
    limit: int = USUAL_ITEMS
    context: Context = "homepage"
    item_id: str | None = None
    """The item to be similar to."""
    exclude: tuple[str, ...] = ()
    exclude_seen: bool = False
    exclude_bought: bool = True
    category: str | None = None
    in_stock: bool = False
    """Only items of which some are left."""
    model_version: str | None = None
    """Of an experiment; None: the current one."""
    rules: dict[str, float] | None = None
    """Of an experiment: post-processing rules by name, in place of those configured."""


class Reason(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why an item is recommended, to be worded by the shop; `text` is a wording that does."""

    kind: str
    text: str
    item_id: str | None = None
    """The item of the account that it was found by."""
    category: str | None = None


class Recommended(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    item_id: str
    score: float
    """0 to 1 where the ranker put it in order; of other rungs larger is better."""
    source: str
    """Which candidate source it came from."""
    reason: Reason | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    rung: Rung
    items: list[Recommended]
    """Best first."""
    model_version: str | None = None
    computed_at_us: int | None = None
    """When it was made, where that was not now."""
    last_action_at_us: int | None = None
    """The newest action of the account that it knows of."""
    outdated: bool = False
    """It was made ahead, and the account has acted since."""

    def of(self, items: list[Recommended]) -> "Answer":
        """The same with these items."""
        return msgspec.structs.replace(self, items=items)
