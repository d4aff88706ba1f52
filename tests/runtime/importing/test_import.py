"""Whole imports against a stand-in that records by event id and day, as the server does."""

import io
import json
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from domain.errors import FootfallError, InvalidInputError, TransientError
from domain.week import from_us
from runtime.importing.command import import_file
from runtime.importing.plan import Options
from runtime.importing.run import run_import
from runtime.importing.summary import Summary
from runtime.posting import UnexpectedAnswerError
from tests.runtime.importing.faulty_server import FaultyServer, Hang, Reply

NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000
OLD_MS = 1_433_221_332_117

Write = Callable[[Sequence[str]], Path]


class Importing:
    """Imports of one file, with what was said."""

    def __init__(self, server: FaultyServer) -> None:
        self.url = server.url
        self.said = ""

    def __call__(self, file: Path, *, now_us: int = NOW_US, **options: object) -> Summary:
        output = io.StringIO()
        try:
            whole = Options(file=file, url=self.url, connections=1, **options)  # type: ignore[arg-type]
            return run_import(whole, Console(file=output, width=300), now_us)
        finally:
            self.said = output.getvalue()


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def importing(server: FaultyServer) -> Importing:
    return Importing(server)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(lines: Sequence[str]) -> Path:
        path = tmp_path / "rows"
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return to_file


def old(count: int) -> list[str]:
    """A file of 2015, a day between rows."""
    return [f"{OLD_MS + n * 86_400_000},visitor,view,item-{n}," for n in range(count)]


def recent(count: int) -> list[str]:
    return [f"{NOW_US // 1_000 - count + n},visitor,view,item-{n}," for n in range(count)]


def test_importing_twice_changes_nothing(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write([*recent(5), recent(5)[0], "wrong"])
    first = importing(file)
    assert (first.rows, first.sent, first.accepted, first.duplicates, first.bad) == (6, 6, 6, 0, 1)
    recorded = dict(server.recorded)
    second = importing(file)
    assert (second.sent, second.accepted, second.duplicates) == (6, 0, 6)
    assert server.recorded == recorded


def test_a_shift_is_used_again_on_another_day(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write(old(400))
    importing(file, span_us=20 * 7 * DAY_US)
    recorded = dict(server.recorded)
    times = sorted(one["occurred_at"] for one in recorded.values())
    assert times[-1] == from_us(NOW_US).isoformat()
    assert times[0] == from_us(NOW_US - 20 * 7 * DAY_US).isoformat()
    again = importing(file, now_us=NOW_US + 3 * DAY_US)
    assert (again.accepted, again.duplicates) == (0, 400)
    assert server.recorded == recorded
    assert "Using the times of the first import, with the last row moved to 2026-09-21" in importing.said
    assert importing(file, now_us=NOW_US + 3 * DAY_US, span_us=20 * 7 * DAY_US).duplicates == 400


def test_rows_without_a_time_have_that_of_the_first_import(
    server: FaultyServer, importing: Importing, write: Write
) -> None:
    file = write(['{"account_id":"a"}'])
    importing(file)
    assert importing(file, now_us=NOW_US + 3 * DAY_US).duplicates == 1
    assert [one["occurred_at"] for one in server.recorded.values()] == [from_us(NOW_US).isoformat()]


def test_as_new_makes_new_events_and_is_what_is_used_from_then_on(
    server: FaultyServer, importing: Importing, write: Write
) -> None:
    file = write(old(10))
    importing(file, shift_to_now=True)
    assert importing(file, now_us=NOW_US + 30 * DAY_US, shift_to_now=True, as_new=True).accepted == 10
    assert len({one["event_id"] for one in server.recorded.values()}) == 20
    assert importing(file, now_us=NOW_US + 32 * DAY_US).duplicates == 10
    assert len(server.recorded) == 20


def test_other_times_than_before_are_an_error(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write(recent(2))
    importing(file)
    with pytest.raises(InvalidInputError, match=r"imported before, with the times in the file\. .*--as-new"):
        importing(file, shift_to_now=True)
    assert len(server.requests) == 1


def test_old_rows_are_an_error_before_anything_is_sent(
    server: FaultyServer, importing: Importing, write: Write, state_home: Path
) -> None:
    file = write(old(2))
    with pytest.raises(InvalidInputError, match=r"2015-06-02 to 2015-06-03.*--shift-to-now.*--span 20w"):
        importing(file)
    assert server.requests == []
    assert not state_home.exists()  # so that the next command is free to choose
    assert importing(file, shift_to_now=True).accepted == 2


def test_an_import_that_stopped_goes_on_there(server: FaultyServer, importing: Importing, write: Write) -> None:
    lines = recent(3_500)
    lines[3_400] = lines[0]  # its occurrence number needs the rows that are not sent again
    file = write(lines)
    server.faults.extend([None, None, Reply(401)])
    with pytest.raises(UnexpectedAnswerError):
        importing(file)
    resumed = importing(file)
    assert (resumed.resumed, resumed.sent, resumed.accepted) == (2_000, 1_500, 1_500)
    assert "Going on after 2000 confirmed rows" in importing.said
    assert len({event_id for _, event_id in server.recorded}) == 3_500
    third = importing(file)
    assert (third.resumed, third.sent, third.duplicates) == (0, 3_500, 3_500)


def test_from_start_sends_the_confirmed_ones_too(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write(recent(1_500))
    server.faults.extend([None, Reply(401)])
    with pytest.raises(UnexpectedAnswerError):
        importing(file)
    whole = importing(file, from_start=True)
    assert (whole.resumed, whole.accepted, whole.duplicates) == (0, 500, 1_000)


def test_ctrl_c_keeps_the_place(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write(recent(2_500))
    # To the main thread, as a terminal's: another thread may get one that is sent to the process, and the loop, which
    # sleeps, would not hear of it.
    main = threading.main_thread().ident
    assert main is not None
    server.faults.extend([None, None, Hang(lambda: signal.pthread_kill(main, signal.SIGINT))])
    with pytest.raises(KeyboardInterrupt):
        importing(file)
    resumed = importing(file)
    assert (resumed.resumed, resumed.accepted) == (2_000, 500)


def test_a_changed_file_starts_over_and_knows_the_rows(
    server: FaultyServer, importing: Importing, write: Write
) -> None:
    importing(write(recent(5)))
    grown = importing(write([*recent(5), f"{NOW_US // 1_000},other,view,item,"]))
    assert (grown.accepted, grown.duplicates) == (1, 5)


def test_another_server_has_its_own_place(server: FaultyServer, importing: Importing, write: Write) -> None:
    file = write(recent(1_500))
    server.faults.extend([None, Reply(401)])
    with pytest.raises(UnexpectedAnswerError):
        importing(file)
    importing.url = server.url.replace("127.0.0.1", "localhost")
    assert importing(file).resumed == 0


def test_bad_and_refused_rows_are_named_by_line(server: FaultyServer, importing: Importing, write: Write) -> None:
    server.invalid = lambda one: "too odd" if one["ref_id"] == "item-1" else None
    lines = ["timestamp,visitorid,event,itemid,transactionid", *recent(3)]
    lines.insert(2, "wrong")
    summary = importing(write(lines))
    assert (summary.rows, summary.sent, summary.accepted, summary.refused, summary.bad) == (3, 3, 2, 1, 1)
    assert "line 3: 1 columns" in importing.said
    assert "line 4: refused by the server: account_id: too odd" in importing.said


def test_only_the_first_twenty_bad_rows_are_named(server: FaultyServer, importing: Importing, write: Write) -> None:
    summary = importing(write([*recent(1), *["wrong"] * 30]))
    assert summary.bad == 30
    assert importing.said.count("line ") == 20
    assert importing.said.count("only counted") == 1


def test_a_server_that_stays_away_is_an_error_and_no_loss(
    server: FaultyServer, importing: Importing, write: Write
) -> None:
    file = write(recent(5))
    server.faults.append(Reply(503))
    with pytest.raises(TransientError):
        importing(file, retry_for_s=0.0)
    assert importing(file).accepted == 5


def test_a_folder_that_cannot_be_written_stops_it(
    server: FaultyServer, importing: Importing, write: Write, state_home: Path
) -> None:
    state_home.write_text("a file in its place")
    with pytest.raises(FootfallError, match="XDG_STATE_HOME"):
        importing(write(recent(1)))
    assert server.requests == []


def command(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command("import")(import_file)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout


def now_rows(count: int) -> list[str]:
    return [json.dumps({"account_id": "a", "ref_id": str(n)}) for n in range(count)]


def test_the_command_prints_its_summary_as_json(
    server: FaultyServer, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_URL", server.url + "/")
    code, printed = command(str(write([*now_rows(3), "wrong"])), "--json")
    summary = json.loads(printed)
    assert code == 0
    assert summary.pop("seconds") > 0
    assert summary.pop("rows_per_s") > 0
    assert summary == {
        "kind": "interactions", "rows": 3, "resumed": 0, "sent": 3, "accepted": 3, "duplicates": 0, "refused": 0,
        "bad": 1,
    }  # fmt: skip


def test_strict_exits_with_1_for_bad_and_for_refused_rows(server: FaultyServer, write: Write) -> None:
    assert command(str(write(now_rows(2))), "--url", server.url, "--strict")[0] == 0
    assert command(str(write([*now_rows(2), "wrong"])), "--url", server.url, "--strict")[0] == 1
    server.invalid = lambda one: "no" if one["ref_id"] == "0" else None
    assert command(str(write(now_rows(2))), "--url", server.url, "--strict")[0] == 1
