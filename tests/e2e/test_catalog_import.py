"""MovieLens' files into a running Footfall, as an operator imports them."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.stack import Done, Stack, footfall


async def _import(stack: Stack, file: Path, *options: str) -> Done:
    return await footfall(stack, "import", "--format", "movielens", str(file), "--url", stack.url, *options)


def _film(item_id: str, title: str) -> bytes:
    return f"{item_id}|{title}|24-Jan-1997||http://x|{'0|' * 18}1\n".encode("latin-1")


async def _get(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_films_go_into_the_catalog_and_importing_them_again_changes_nothing(
    stack: Stack, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    prefix, file = uuid4().hex[:8], tmp_path / "u.item"
    file.write_bytes(b"".join(_film(f"{prefix}-{n}", f"Misérables, Les {n}") for n in range(1_682)))
    done = await _import(stack, file, "--strict", "--json")
    assert (done.code, done.json["kind"], done.json["accepted"]) == (0, "items", 1_682)
    before = await _get(http, f"/items/{prefix}-1681")
    assert before["title"] == "Misérables, Les 1681"
    assert (before["category"], before["tags"]) == ("Western", ["Western"])
    assert before["created_at"] == "1997-01-24T00:00:00Z"
    again = await _import(stack, file)
    assert "1682 items: 1682 sent" in again.out
    assert "1682 stored" in again.out
    assert await _get(http, f"/items/{prefix}-1681") == before


async def test_what_the_server_refuses_is_named_and_the_rest_stored(
    stack: Stack, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    prefix, file = uuid4().hex[:8], tmp_path / "u.item"
    titles = ["One", "T" * 501, "Three", "Three again"]
    ids = [f"{prefix}-{n}" for n in (1, 2, 3, 3)]
    file.write_bytes(b"".join(map(_film, ids, titles)) + b"nonsense\n")
    done = await _import(stack, file, "--strict")
    assert done.code == 1
    assert "line 2: refused by the server: title: " in done.err
    assert "line 4: refused by the server: item_id: twice in this request" in done.err
    assert "line 5: 1 columns" in done.err
    assert "4 items: 4 sent" in done.out
    assert [(await _get(http, f"/items/{one}"))["title"] for one in (ids[0], ids[2])] == ["One", "Three"]
    assert (await http.get(f"/items/{ids[1]}")).status_code == 404


async def test_users_and_movies_csv(stack: Stack, http: httpx.AsyncClient, tmp_path: Path) -> None:
    user, movie = uuid4().hex[:8], str(uuid4().int % 10**12)
    users, movies = tmp_path / "u.user", tmp_path / "movies.csv"
    users.write_text(f"{user}|24|M|technician|85711\n")
    movies.write_text(f'movieId,title,genres\n{movie},"Heat, The (1995)",Crime|Drama\n')
    assert "1 users: 1 sent" in (await _import(stack, users, "--strict")).out
    assert "1 items: 1 sent" in (await _import(stack, movies, "--strict")).out
    assert (await _get(http, f"/users/{user}"))["country"] == "US"
    assert (await _get(http, f"/items/{movie}"))["tags"] == ["Crime", "Drama"]


async def test_times_are_for_interactions(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "u.item"
    file.write_bytes(_film("1", "One"))
    done = await _import(stack, file, "--span", "20w")
    assert done.code == 1
    assert "u.item holds items, not interactions: leave --shift-to-now" in done.err
