"""MovieLens' items and users, as PUT /items and PUT /users take them.

A film's genres become its tags, the first of them its category. It was created when it was released; where only its
title has a year, on the first day of that. Of a user the catalog has a place for the country alone, which the zip
code tells: age, gender and occupation are left out.
"""

import re
from datetime import UTC, datetime
from typing import Any

from runtime.importing.columns import cells, present
from runtime.importing.rows import BadRowError

_U_ITEM_GENRES = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""As u.genre has them, behind one that says that none is known."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RELEASE_DATE = re.compile(r"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_YEAR_OF_TITLE = re.compile(r"\(([0-9]{4})\)\s*$")
_NO_GENRES = "(no genres listed)"

_ZIP_CODES = {"US": re.compile(r"[0-9]{5}"), "CA": re.compile(r"[A-Z][0-9][A-Z][0-9][A-Z]")}
"""By country; of Canada's the file has the first five characters."""


def parse_u_item(text: str) -> dict[str, Any]:
    """Columns: movie id | title | release date | video release date | IMDb URL | 19 flags, one a genre."""
    values = [value.strip() for value in text.split("|")]
    if len(values) != 6 + len(_U_ITEM_GENRES):
        raise BadRowError(f"{len(values)} columns, expected u.item's {6 + len(_U_ITEM_GENRES)} with | between")
    movie, title, released = values[:3]
    flags = values[6:]
    if not {"0", "1"}.issuperset(values[5:]):
        raise BadRowError("a genre's column is neither 0 nor 1")
    genres = [genre for genre, flag in zip(_U_ITEM_GENRES, flags, strict=True) if flag == "1"]
    return _item(movie, title, genres, _release_date(released) if released else None)


def parse_movie(text: str) -> dict[str, Any]:
    """Columns: movieId,title,genres, these with | between."""
    values = [value.strip() for value in cells(text)]
    if len(values) != 3:  # noqa: PLR2004  (movieId, title, genres)
        raise BadRowError(f"{len(values)} columns, expected movieId,title,genres")
    movie, title, genres = values
    if not (movie.isascii() and movie.isdigit()):
        raise BadRowError(f"movieId {movie[:40]!r} is not a whole number")
    year = _YEAR_OF_TITLE.search(title)
    named = [] if genres == _NO_GENRES else [genre for genre in genres.split("|") if genre]
    return _item(movie, title, named, _date(int(year[1]), 1, 1) if year else None)


def parse_u_user(text: str) -> dict[str, Any]:
    """Columns: user id | age | gender | occupation | zip code."""
    values = [value.strip() for value in text.split("|")]
    if len(values) != 5 or not values[1].isdigit():  # noqa: PLR2004  (id, age, gender, occupation, zip code)
        raise BadRowError("expected u.user's id, age, gender, occupation and zip code with | between")
    user, zip_code = present(values[0], "user id"), values[4]
    country = next((one for one, codes in _ZIP_CODES.items() if codes.fullmatch(zip_code)), None)
    return {"account_id": user} if country is None else {"account_id": user, "country": country}


def _item(movie: str, title: str, genres: list[str], created_at: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"item_id": present(movie, "movie id"), "title": present(title, "title"), "tags": genres}
    if genres:
        item["category"] = genres[0]
    if created_at is not None:
        item["created_at"] = created_at
    return item


def _release_date(text: str) -> str:
    found = _RELEASE_DATE.fullmatch(text)
    if found is None or found[2].lower() not in _MONTHS:
        raise BadRowError(f"release date {text[:40]!r} is not like 01-Jan-1995")
    return _date(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))


def _date(year: int, month: int, day: int) -> str:
    try:
        return datetime(year, month, day, tzinfo=UTC).isoformat()
    except ValueError:
        raise BadRowError(f"there is no {year}-{month:02}-{day:02}") from None
