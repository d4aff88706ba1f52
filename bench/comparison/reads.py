"""Reads over HTTP: the ranking alone and beside writes, an account's history from sealed blocks."""

import itertools
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.beside import open_loop
from bench.comparison.closed import Bench, insist
from bench.comparison.figures import Report, Section
from bench.loadgen import Result, get, load
from bench.peers.system import HOST, Running
from bench.processes import cpu_seconds

TOP = "GET /popularity/top, closed loop, 32 connections"
TOP_RATE = f"{TOP}: answers/s"
WRITES_BESIDE = "writes beside the next: intended requests/s, half of what it drained in this round, 1 a request"
HISTORY = "history of 2,000, sealed, closed loop, 8 connections"
HISTORY_RATE = f"{HISTORY}: answers/s"
HISTORY_A_CORE = f"{HISTORY}: answers a second of the API's processor time"
HISTORY_HALF = "history of 2,000, sealed, open loop at half of that, 8 connections"

HISTORY_EVENTS = 2_000
_PATH = "/popularity/top"
_UNDER_WAY_S = 1.0
_SHARES = {"half": 0.5, "a tenth": 0.1}


def top_beside(share: str) -> str:
    return f"GET /popularity/top beside writes, open loop at {share} of its rate alone, 32 connections"


TOP_BESIDE_HALF, TOP_BESIDE_TENTH = (top_beside(share) for share in _SHARES)


def top(bench: Bench, drained_per_s: float, seconds: float) -> None:
    """As many as it answers; then a share of that, while writes run at half load."""
    system, report = bench.system, bench.report
    alone = _read(system, [get(HOST, _PATH)], 32, seconds)
    report.note(Section.READS, TOP_RATE, alone.rate)
    report.took(Section.READS, TOP, alone.latency)
    report.note(Section.READS, WRITES_BESIDE, drained_per_s / 2)
    for words, share in _SHARES.items():
        with open_loop(system.port, drained_per_s / 2, seconds + 2 * _UNDER_WAY_S) as writes:
            time.sleep(_UNDER_WAY_S)
            beside = _read(system, [get(HOST, _PATH)], 32, seconds, alone.rate * share)
        bench.tally.add(writes.accepted)
        bench.tally.wait_everywhere()
        report.took(Section.READS, top_beside(words), beside.latency)


def save_top(system: Running, out: Path) -> None:
    """What it answers, for the HTTP limit to answer too."""
    out.write_bytes(_answer(system, _PATH))


def history(system: Running, accounts: list[str], seconds: float, report: Report) -> None:
    """All of these accounts in turn, as many as it answers and half of that; processor time is the API's alone."""
    requests = [get(HOST, f"/interactions/{account}?limit={HISTORY_EVENTS}") for account in accounts]
    api = [pid for part, pid in system.pids.items() if part.startswith("api")]
    answer = msgspec.json.decode(_answer(system, f"/interactions/{accounts[0]}?limit={HISTORY_EVENTS}"))
    if len(answer["items"]) != HISTORY_EVENTS:
        raise SystemExit(f"a history has {len(answer['items'])} interactions")
    _read(system, requests, 8, seconds / 4)
    before = cpu_seconds(api)
    most = _read(system, requests, 8, seconds)
    spent = cpu_seconds(api) - before
    report.note(Section.READS, HISTORY_RATE, most.rate)
    report.note(Section.READS, HISTORY_A_CORE, most.answers / spent)
    report.took(Section.READS, HISTORY, most.latency)
    report.took(Section.READS, HISTORY_HALF, _read(system, requests, 8, seconds, most.rate / 2).latency)


def _answer(system: Running, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{HOST}:{system.port}{path}", timeout=10) as answer:
        return bytes(answer.read())


def _read(
    system: Running, requests: list[bytes], connections: int, seconds: float, rate: float | None = None
) -> Result:
    ring: Callable[[], bytes] = itertools.cycle(requests).__next__
    result = load(HOST, system.port, ring, connections=connections, seconds=seconds, rate=rate)
    insist(result, system.name)
    return result
