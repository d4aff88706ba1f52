"""MovieLens' items and users: what becomes of a line, and whole files into a stand-in that takes all or nothing."""

import gzip
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from domain.errors import InvalidInputError
from runtime.importing.line_formats import FORMATS, guess_format
from runtime.importing.plan import Options
from runtime.importing.reading import choose_format
from runtime.importing.rows import BadRowError
from runtime.importing.run import run_import
from runtime.importing.summary import Summary
from tests.runtime.importing.faulty_server import Cut, FaultyServer, Reply

U_ITEM, MOVIES, U_USER = (FORMATS[f"movielens {name}"] for name in ("u.item", "movies.csv", "u.user"))

TOY_STORY = (
    "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)"
    "|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
)
UNKNOWN = "267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0"


def film(number: int, title: str = "A film") -> str:
    return f"{number}|{title}|04-Feb-1971|||" + "|".join("0" * 18) + "|1"


def test_a_film_has_its_genres_for_tags_and_the_first_for_its_category() -> None:
    assert U_ITEM.parse(TOY_STORY).fields == {
        "item_id": "1",
        "title": "Toy Story (1995)",
        "category": "Animation",
        "tags": ["Animation", "Children's", "Comedy"],
        "created_at": "1995-01-01T00:00:00+00:00",
    }
    assert U_ITEM.parse(film(7)).fields["category"] == "Western"  # the last flag's
    assert U_ITEM.parse(film(7)).fields["created_at"] == "1971-02-04T00:00:00+00:00"


def test_what_is_not_known_of_a_film_is_left_out() -> None:
    assert U_ITEM.parse(UNKNOWN).fields == {"item_id": "267", "title": "unknown", "tags": []}


def test_movies_csv() -> None:
    assert MOVIES.parse('11,"American President, The (1995)",Comedy|Drama|Romance').fields == {
        "item_id": "11",
        "title": "American President, The (1995)",
        "category": "Comedy",
        "tags": ["Comedy", "Drama", "Romance"],
        "created_at": "1995-01-01T00:00:00+00:00",
    }
    bare = {"item_id": "12", "title": "Untitled", "tags": []}
    assert MOVIES.parse("12,Untitled,(no genres listed)").fields == bare
    assert MOVIES.is_header("movieId,title,genres")
    assert not MOVIES.is_header("1,Toy Story (1995),Comedy")


@pytest.mark.parametrize(
    ("zip_code", "country"), [("85711", {"country": "US"}), ("T8H1N", {"country": "CA"}), ("E2A", {}), ("", {})]
)
def test_a_user_has_the_country_of_its_zip_code(zip_code: str, country: dict[str, str]) -> None:
    assert U_USER.parse(f"1|24|M|technician|{zip_code}").fields == {"account_id": "1", **country}


@pytest.mark.parametrize(
    ("format_name", "line", "reason"),
    [
        ("u.item", "1|Toy Story|01-Jan-1995", "3 columns, expected u.item's 24"),
        ("u.item", TOY_STORY[:-1] + "2", "neither 0 nor 1"),
        ("u.item", "|" + UNKNOWN.partition("|")[2], "movie id is empty"),
        ("u.item", UNKNOWN.replace("unknown", " "), "title is empty"),
        ("u.item", TOY_STORY.replace("01-Jan", "01-Foo"), "release date '01-Foo-1995'"),
        ("u.item", TOY_STORY.replace("01-Jan", "31-Feb"), "there is no 1995-02-31"),
        ("movies.csv", "1,Toy Story, The,Comedy", "4 columns, expected movieId,title,genres"),
        ("movies.csv", "one,Toy Story,Comedy", "movieId 'one' is not a whole number"),
        ("movies.csv", '1,"Toy Story,Comedy', "not CSV"),
        ("movies.csv", "1,,Comedy", "title is empty"),
        ("movies.csv", "1,Nothing (0000),Comedy", "there is no 0-01-01"),
        ("u.user", "1|24|M|technician", "expected u.user's"),
        ("u.user", "1|young|M|technician|85711", "expected u.user's"),
        ("u.user", "|24|M|technician|85711", "user id is empty"),
    ],
)
def test_bad_lines(format_name: str, line: str, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        FORMATS[f"movielens {format_name}"].parse(line)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([TOY_STORY, UNKNOWN], "movielens u.item"),
        (["movieId,title,genres", "1,Toy Story (1995),Comedy"], "movielens movies.csv"),
        (["1|24|M|technician|85711"], "movielens u.user"),
        (["196\t242\t3\t881250949"], "movielens"),
        (["userId,movieId,rating,timestamp", "1,31,2.5,1260759144"], "movielens"),
    ],
)
def test_the_file_of_the_data_set_is_told_by_its_lines(tmp_path: Path, lines: list[str], name: str) -> None:
    assert guess_format(lines, "a file").name == name
    path = tmp_path / "a file"
    path.write_text("\n".join(lines))
    assert choose_format(path, "movielens").name == name


class Importing:
    """Imports of one file, with what was said."""

    def __init__(self, server: FaultyServer, file: Path) -> None:
        self.url, self.file = server.url, file
        self.said = ""

    def __call__(self, content: bytes, **options: object) -> Summary:
        self.file.write_bytes(content)
        output = io.StringIO()
        given: dict[str, object] = {"format_name": "movielens", "connections": 1, **options}
        try:
            whole = Options(file=self.file, url=self.url, **given)  # type: ignore[arg-type]
            return run_import(whole, Console(file=output, width=300), 0)
        finally:
            self.said = output.getvalue()


@pytest.fixture
def importing(server: FaultyServer, tmp_path: Path) -> Importing:
    return Importing(server, tmp_path / "u.item")


def files(count: int) -> bytes:
    return "".join(film(number) + "\n" for number in range(count)).encode()


def test_all_items_are_put_in_requests_of_a_thousand(server: FaultyServer, importing: Importing) -> None:
    summary = importing(files(2_500))
    assert (summary.kind, summary.rows, summary.accepted, summary.bad) == ("items", 2_500, 2_500, 0)
    assert [len(request) for request in server.requests] == [1_000, 1_000, 500]
    assert len(server.stored) == 2_500
    assert "2500 items: 2500 sent" in summary.text()
    assert summary.text().endswith("2500 stored")


def test_users_go_to_their_own_route(server: FaultyServer, importing: Importing) -> None:
    assert importing(b"1|24|M|technician|85711\n2|53|F|other|94043\n").kind == "users"
    assert server.stored["2"] == {"account_id": "2", "country": "US"}


def test_a_file_in_latin_1_and_one_in_utf_8(server: FaultyServer, importing: Importing) -> None:
    title = "Misérables, Les (1995)"
    for encoding in ("latin-1", "utf-8"):
        importing(film(1, title).encode(encoding))
        assert server.stored.pop("1")["title"] == title


def test_a_packed_file(server: FaultyServer, importing: Importing, tmp_path: Path) -> None:
    importing.file = tmp_path / "u.item.gz"
    assert importing(gzip.compress(files(3))).accepted == 3


def test_bad_and_refused_lines_are_named_and_the_others_stored(server: FaultyServer, importing: Importing) -> None:
    server.invalid = lambda one: "too odd" if one["item_id"] in ("3", "7") else None
    content = files(10) + b"nonsense\n"
    summary = importing(content)
    assert (summary.rows, summary.sent, summary.accepted, summary.refused, summary.bad) == (10, 10, 8, 2, 1)
    assert "line 11: 1 columns" in importing.said
    assert "line 4: refused by the server: account_id: too odd" in importing.said
    assert "line 8: refused by the server: account_id: too odd" in importing.said
    assert sorted(server.stored) == ["0", "1", "2", "4", "5", "6", "8", "9"]


def test_all_refused(server: FaultyServer, importing: Importing) -> None:
    server.invalid = lambda _: "no"
    summary = importing(files(3))
    assert (summary.accepted, summary.refused, len(server.requests)) == (0, 3, 1)


def test_a_lost_answer_and_a_busy_server_are_tried_again(server: FaultyServer, importing: Importing) -> None:
    server.faults.extend([Cut(recorded=True), Cut(recorded=False), Reply(503), Reply(429)])
    assert importing(files(5)).accepted == 5
    assert len(server.requests) == 5


def test_a_refusal_that_names_what_was_not_sent_is_narrowed_down(server: FaultyServer, importing: Importing) -> None:
    odd = Reply(422, {"detail": "odd", "errors": [{"index": 99, "pointer": "#/items/99", "reason": "odd"}]})
    server.faults.extend([odd, None, odd])
    assert (importing(files(2)).accepted, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("option", [{"shift_to_now": True}, {"span_us": 1}, {"as_new": True}, {"from_start": True}])
def test_what_only_interactions_have_is_an_error(
    server: FaultyServer, importing: Importing, option: dict[str, object]
) -> None:
    with pytest.raises(InvalidInputError, match=r"u\.item holds items.*--shift-to-now"):
        importing(files(1), **option)
    assert server.requests == []


def test_the_summary_as_json_says_what_the_rows_were(importing: Importing) -> None:
    assert json.loads(importing(files(1)).json())["kind"] == "items"
