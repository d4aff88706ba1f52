"""The catalog: what a shop says about its items and its accounts.

Whether an interaction counts does not depend on it.
"""

from decimal import Decimal

import msgspec


class _SaidOfItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    item_id: str
    """What interactions call ref_id, where ref_type is Product."""
    title: str
    description: str | None = None
    category: str | None = None
    subcategory: str | None = None
    tags: tuple[str, ...] = ()
    price: Decimal | None = None
    """Not negative; its digits are kept as they were sent."""
    currency: str | None = None
    """ISO 4217."""
    is_active: bool = True
    """False: known, and not to be shown; so is every deleted item."""
    in_stock: bool = True


class NewItem(_SaidOfItem, frozen=True, kw_only=True, gc=False):
    """An item on its way in, every field already valid."""

    created_at_us: int | None = None
    """Microseconds since the Unix epoch. None: as it is known, or now for an item that is not."""


class Item(_SaidOfItem, frozen=True, kw_only=True, gc=False):
    """An item as the catalog has it. Moments are microseconds since the Unix epoch."""

    created_at_us: int
    changed_at_us: int
    """Grows from change to change, over all items: see `CatalogStore.changed_items`."""
    deleted_at_us: int | None = None


class _SaidOfAccount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    account_id: str
    preferred_categories: tuple[str, ...] = ()
    """As items have them in `category`."""
    language: str | None = None
    """BCP 47."""
    country: str | None = None
    """ISO 3166-1, two letters."""


class NewProfile(_SaidOfAccount, frozen=True, kw_only=True, gc=False):
    """A profile on its way in, every field already valid."""

    created_at_us: int | None = None
    """As NewItem's."""


class Profile(_SaidOfAccount, frozen=True, kw_only=True, gc=False):
    """A profile as the catalog has it. Moments are microseconds since the Unix epoch."""

    created_at_us: int
    changed_at_us: int
    deleted_at_us: int | None = None
