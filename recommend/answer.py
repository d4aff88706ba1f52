"""What is asked for, and what is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from recommend.candidates import Source

Context = Literal["homepage", "similar"]
Rung = Literal["ranked", "candidates", "popular"]
ReasonKind = Literal["viewed", "bought", "similar", "popular_in_category", "popular", "trending", "new"]


@dataclass(frozen=True, slots=True)
class Request:
    account_id: str
    limit: int = 50
    context: Context = "homepage"
    item_id: str | None = None
    """What the answer is to be similar to, where context is "similar"."""
    exclude: frozenset[str] = field(default_factory=frozenset)
    exclude_seen: bool = False
    category: str | None = None
    """Only items of this category."""
    in_stock: bool = False
    preferred_categories: Sequence[str] = ()
    """From the account's profile."""


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ReasonKind
    item_id: str | None = None
    """The item of the account that it was recommended for: "because you viewed …"."""
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Recommended:
    item_id: str
    score: float
    """From 0 to 1: on the rung "ranked" the chance that the account acts on it next, else only what is sorted by."""
    source: Source | Literal["new"]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Answer:
    items: Sequence[Recommended]
    rung: Rung
    model_version: str
