"""What the catalog's routes take and answer."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.functional_validators import AfterValidator

from api.schemas import Id, known_currency

MOST_AT_ONCE = 1_000
MAX_CATEGORY = 100

_MOST_NAMES = 50

_Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CATEGORY)]
_Names = Annotated[list[_Name], Field(max_length=_MOST_NAMES)]
_Price = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$")]
_Currency = Annotated[str, AfterValidator(known_currency)]
_Language = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]
_Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
_CreatedAt = Annotated[
    AwareDatetime | None,
    Field(description="RFC 3339. Absent: as it is known, or now where it is not. Not over 5 minutes ahead."),
]


class ItemIn(BaseModel):
    """All that the shop says about an item. What is absent here is absent from then on."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "item_id": "espresso-cup",
                "title": "Espresso cup, 60 ml",
                "category": "kitchen",
                "subcategory": "cups",
                "tags": ["porcelain", "white"],
                "price": "12.50",
                "currency": "EUR",
            }
        },
    )

    item_id: Id = Field(description="What interactions call ref_id.")
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    category: _Name | None = None
    subcategory: _Name | None = None
    tags: _Names = []
    price: _Price | None = Field(None, description="A decimal as a string, not negative.")
    currency: _Currency | None = Field(None, description="ISO 4217.")
    created_at: _CreatedAt = None
    is_active: bool = Field(True, description="False: not to be shown to anybody.")
    in_stock: bool = True


class ItemsIn(BaseModel):
    """Up to 1,000 items with different ids, stored all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    items: Annotated[list[ItemIn], Field(min_length=1, max_length=MOST_AT_ONCE)]


class ProfileIn(BaseModel):
    """All that the shop says about an account. What is absent here is absent from then on."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {"account_id": "alice", "preferred_categories": ["kitchen"], "language": "en", "country": "GB"}
        },
    )

    account_id: Id
    preferred_categories: _Names = Field(default=[], description="As items have them in `category`.")
    language: _Language | None = Field(None, description="BCP 47, such as en or pt-BR.")
    country: _Country | None = Field(None, description="ISO 3166-1, two letters.")
    created_at: _CreatedAt = None


class ProfilesIn(BaseModel):
    """Up to 1,000 profiles of different accounts, stored all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    users: Annotated[list[ProfileIn], Field(min_length=1, max_length=MOST_AT_ONCE)]


class StoredOut(BaseModel):
    """All that was sent is committed, and read from now on."""

    stored: int


class ItemOut(BaseModel):
    """An item; fields that it does not have are left out."""

    item_id: str
    title: str
    description: str | None = None
    category: str | None = None
    subcategory: str | None = None
    tags: list[str]
    price: str | None = None
    currency: str | None = None
    created_at: AwareDatetime
    is_active: bool = Field(description="False as well where it is deleted.")
    in_stock: bool
    changed_at: AwareDatetime
    deleted_at: AwareDatetime | None = None


class ItemsOut(BaseModel):
    items: list[ItemOut]
    next_cursor: str | None = None


class ProfileOut(BaseModel):
    """A profile; fields that it does not have are left out."""

    account_id: str
    preferred_categories: list[str]
    language: str | None = None
    country: str | None = None
    created_at: AwareDatetime
    changed_at: AwareDatetime
    deleted_at: AwareDatetime | None = None
