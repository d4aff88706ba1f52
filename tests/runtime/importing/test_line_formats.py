import json

import msgspec
import pytest

from domain.errors import InvalidInputError
from runtime.importing.line_formats import FORMATS, format_named, guess_format
from runtime.importing.rows import BadRowError

JSONL, RETAILROCKET, MOVIELENS = FORMATS["jsonl"], FORMATS["retailrocket"], FORMATS["movielens"]


def test_json_lines_keep_their_values_to_the_last_digit() -> None:
    line = (
        '{"account_id":"a","event_id":"01890A5D-AC96-774B-BCCE-B302099A8057","occurred_at":"2026-01-02T03:04:05+01:00",'
        '"metadata":{"price":1.10,"big":123456789012345678901234567890,"exact":0.1000000000000000055}}'
    )
    parsed = JSONL.parse(line)
    assert parsed.event_id == "01890a5d-ac96-774b-bcce-b302099a8057"
    assert parsed.occurred_at_us == 1_767_319_445_000_000
    sent = msgspec.json.encode(parsed.fields).decode()
    assert "1.10" in sent
    assert "123456789012345678901234567890" in sent
    assert "0.1000000000000000055" in sent
    assert json.loads(sent).keys() == {"account_id", "metadata"}


def test_json_lines_need_neither_id_nor_time() -> None:
    assert JSONL.parse('{"account_id":"a","event_id":null,"occurred_at":null}')[1:] == (None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not a JSON object"),
        ('{"a":NaN}', "not a JSON object"),
        ('{"a":1} {"a":2}', "not a JSON object"),
        ('{"a":' + "[" * 5_000 + "]" * 5_000 + "}", "not a JSON object"),
        ('{"event_id":"1"}', "is not a UUID"),
        ('{"event_id":1}', "event_id is not a string"),
        ('{"occurred_at":1767319445}', "occurred_at is not a string"),
        ('{"occurred_at":"yesterday"}', "not an RFC 3339 time"),
        ('{"occurred_at":"2026-01-02T03:04:05"}', "no time zone"),
    ],
)
def test_bad_json_lines(line: str, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        JSONL.parse(line)


@pytest.mark.parametrize(
    ("event", "event_type"), [("view", "view"), ("addtocart", "add_to_cart"), ("transaction", "purchase")]
)
def test_retailrocket_events(event: str, event_type: str) -> None:
    parsed = RETAILROCKET.parse(f"1433221332117,257597,{event},355908,")
    assert parsed.occurred_at_us == 1_433_221_332_117_000
    assert parsed.fields == {
        "account_id": "257597",
        "event_type": event_type,
        "ref_type": "Product",
        "ref_id": "355908",
    }


def test_retailrocket_transactions_become_orders() -> None:
    assert RETAILROCKET.parse("1,2,transaction,3,4000").fields["metadata"] == {"order_id": "4000"}


def test_retailrocket_cells_may_be_quoted() -> None:
    assert RETAILROCKET.parse('1,"a,b",view,"3",').fields["account_id"] == "a,b"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2,view", "3 columns"),
        ("x,2,view,3,", "timestamp 'x' is not a whole number"),
        ("99999999999999999,2,view,3,", "outside the years"),
        ("1,,view,3,", "visitorid is empty"),
        ("1,2,view,,", "itemid is empty"),
        ("1,2,stare,3,", "event 'stare' is none of"),
        ('1,"2,view,3,', "not CSV"),
    ],
)
def test_bad_retailrocket_lines(line: str, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        RETAILROCKET.parse(line)


@pytest.mark.parametrize(
    ("rating", "event_type"),
    [
        ("5", "rating_high"),
        ("4", "rating_high"),
        ("3.5", "rating_medium"),
        ("3", "rating_medium"),
        ("2.1", "rating_medium"),
        ("2", "rating_low"),
        ("0.5", "rating_low"),
    ],
)
def test_movielens_ratings(rating: str, event_type: str) -> None:
    parsed = MOVIELENS.parse(f"196\t242\t{rating}\t881250949")
    assert parsed.fields["event_type"] == event_type
    assert (parsed.fields["account_id"], parsed.fields["ref_id"]) == ("196", "242")
    assert parsed.occurred_at_us == 881_250_949_000_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1\t2\t3", "3 columns"),
        ("1\t2\tgood\t4", "rating 'good'"),
        ("1\t2\tnan\t4", "rating 'nan'"),
        ("1\t2\t6\t4", "from 0 to 5"),
        ("1\t2\t3\t4.5", "time '4.5' is not a whole number"),
        ("\t2\t3\t4", "user is empty"),
    ],
)
def test_bad_movielens_lines(line: str, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        MOVIELENS.parse(line)


def test_headers() -> None:
    assert RETAILROCKET.is_header("timestamp,visitorid,event,itemid,transactionid")
    assert not RETAILROCKET.is_header("1433221332117,257597,view,355908,")
    assert MOVIELENS.is_header("userId\tmovieId\trating\ttimestamp")
    assert not MOVIELENS.is_header("user-1\t242\t3\t881250949")
    assert not MOVIELENS.is_header("196\t242\t3\t881250949")


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (['{"account_id":"a"}'], "jsonl"),
        (["timestamp,visitorid,event,itemid,transactionid"], "retailrocket"),
        (["1,2,stare,3,", "1,2,view,3,"], "retailrocket"),
        (["userId\tmovieId\trating\ttimestamp", "196\t242\t3\t881250949"], "movielens"),
    ],
)
def test_the_format_is_guessed(lines: list[str], name: str) -> None:
    assert guess_format(lines, "a file").name == name


def test_what_cannot_be_guessed_is_an_error_that_names_the_option() -> None:
    with pytest.raises(InvalidInputError, match="--format"):
        guess_format(["a;b;c", "1;2;3"], "a file")
    with pytest.raises(InvalidInputError, match="has no rows"):
        guess_format([], "a file")
    with pytest.raises(InvalidInputError, match="none of jsonl, retailrocket, movielens"):
        format_named("xml", [])
