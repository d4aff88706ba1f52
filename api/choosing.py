"""The parameters that say which items an answer may hold: one vocabulary for rankings and recommendations."""

from typing import Annotated

from fastapi import Query

from api.schemas import MAX_ID
from domain.recommendations import MOST_EXCLUDED

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps no text with a NUL: no id has one."""

_ItemId = Annotated[str, Query(min_length=1, max_length=MAX_ID, pattern=NO_NUL)]

Excluded = Annotated[list[_ItemId] | None, Query(max_length=MOST_EXCLUDED, description="Items that are left out.")]
ExcludeSeen = Annotated[bool, Query(description="Leave out what the account did anything with of late.")]
InCategory = Annotated[
    str | None, Query(min_length=1, max_length=MAX_ID, pattern=NO_NUL, description="Only of this category.")
]
InStock = Annotated[bool, Query(description="Leave out what the catalog has as out of stock.")]
