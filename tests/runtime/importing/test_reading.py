import gzip
from pathlib import Path

import pytest

from domain.errors import InvalidInputError
from runtime.importing.line_formats import FORMATS
from runtime.importing.reading import MAX_LINE_BYTES, choose_format, fingerprint, read_rows
from runtime.importing.rows import BadRow, Row

HEADER = "timestamp,visitorid,event,itemid,transactionid\n"
RETAILROCKET, JSONL = FORMATS["retailrocket"], FORMATS["jsonl"]


def rows(path: Path) -> list[Row | BadRow]:
    return list(read_rows(path, choose_format(path, None)))


def test_lines_are_counted_with_header_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEADER + "\n1,2,view,3,\n  \nwrong\n4,5,view,6,")
    good, bad, last = rows(path)
    assert isinstance(good, Row)
    assert isinstance(bad, BadRow)
    assert (good.line, bad.line, last.line) == (3, 5, 6)


def test_a_bad_first_line_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("abc,2,view,3,\n1,2,view,3,\n")
    assert [type(row) for row in rows(path)] == [BadRow, Row]


def test_a_header_further_down_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEADER + HEADER + "1,2,view,3,\n" + HEADER)
    assert [type(row) for row in rows(path)] == [BadRow, Row, BadRow]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_mark_endings_and_compression_leave_the_rows_the_same(tmp_path: Path, ending: str) -> None:
    plain, marked, packed = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv.gz"
    text = (HEADER + "1,2,view,3,\n4,5,addtocart,6,\n").replace("\n", ending).encode()
    plain.write_bytes(text.replace(b"\r", b""))
    marked.write_bytes(b"\xef\xbb\xbf" + text)
    packed.write_bytes(gzip.compress(text))
    assert rows(plain) == rows(marked) == rows(packed)
    assert len(rows(plain)) == 2


def test_a_mark_before_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"account_id":"a"}\n')
    assert isinstance(rows(path)[0], Row)


def test_what_is_not_utf_8_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"account_id":"a"}\n{"account_id":"\xff"}\n{"account_id":"b"}\n')
    found = list(read_rows(path, JSONL))
    assert [type(row) for row in found] == [Row, BadRow, Row]
    assert isinstance(found[1], BadRow)
    assert "not UTF-8" in found[1].reason


def test_a_line_without_end_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + b"x" * (3 * MAX_LINE_BYTES) + b'\n{"a":2}\n' + b"y" * (MAX_LINE_BYTES + 1))
    found = list(read_rows(path, JSONL))
    assert [(row.line, type(row)) for row in found] == [(1, Row), (2, BadRow), (3, Row), (4, BadRow)]


@pytest.mark.parametrize("content", [gzip.compress(b'{"a":1}\n' * 1_000)[:-20], b"no gzip"])
def test_a_damaged_gzip_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"a\.jsonl\.gz can't be read"):
        list(read_rows(path, JSONL))


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in "abc")
    one.write_bytes(b"1")
    same.write_bytes(b"1")
    other.write_bytes(b"2")
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
