"""The shop's rules for what is shown; without arithmetic, so that every process can read them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rules:
    """The shop's own rules; every one can be turned off."""

    exclude_bought: bool = True
    exclude_seen: bool = False
    in_stock: bool = False
    """Only what is in stock."""
    blocked: frozenset[str] = field(default_factory=frozenset)
    """Item ids that are never shown."""
    blocked_categories: frozenset[str] = field(default_factory=frozenset)
    """Nor are items of these."""
    freshness: float = 0.1
    """By how much the chance of an item of age 0 is raised: 0.1 is a tenth."""
    freshness_half_life_days: float = 7.0
    diversity: float = 0.1
    """0: by chance alone. 1: as like as a candidate is to one placed above it, so much of its chance is lost."""
    share_of_category: float = 0.5
    """At most this share of an answer is of one category, as long as others are left; 1 turns it off."""
    exploration: float = 0.05
    """The share of places that are given to new items."""
    new_days: float = 14.0
    """An item is new until it is so old, unless …"""
    new_accounts: int = 5
    """… so many accounts have dealt with it."""


OF_AN_ANSWER = frozenset({"freshness", "freshness_half_life_days", "diversity", "share_of_category", "exploration"})
"""Those that may be other ones in a single answer, as an arm of an experiment has it."""
