"""What was asked of Footfall, beside what this run measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.comparison import front, limits, memory, reads, rest
from bench.comparison.figures import HUNDRED_A_REQUEST, ONE_A_REQUEST, ONE_CLIENT, Report, best, ratios
from bench.peers import footfall, restate_peer


@dataclass(frozen=True)
class Target:
    asked: str
    bound: float
    found: Sequence[float]
    """One a round; empty where it was not measured."""
    at_most: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        """By the median; None where it was not measured."""
        if not self.found:
            return None
        return median(self.found) <= self.bound if self.at_most else median(self.found) >= self.bound


def targets(report: Report) -> list[Target]:
    return [*_end_to_end(report), *_latency(report), *_reads(report), *_space(report)]


def _end_to_end(report: Report) -> list[Target]:
    one = report.drained(footfall.POSTGRES, ONE_A_REQUEST)
    most = best(one, report.drained(footfall.TWO_PROCESSES, ONE_A_REQUEST))
    hundred = report.drained(footfall.POSTGRES, HUNDRED_A_REQUEST)
    found = []
    for load, ours, times in ((ONE_A_REQUEST, one, 25), (HUNDRED_A_REQUEST, hundred, 110)):
        for peer in (restate_peer.NAME, restate_peer.NAME_DEFAULT):
            theirs = report.drained(peer, load)
            found.append(Target(f"{load.name}: drained, by {peer}", times, ratios(ours, theirs), unit=" times"))
    alone, same = (report.values.get(name, []) for name in (limits.fastapi(ONE_A_REQUEST), limits.BY_100.name))
    return [
        *found,
        Target(
            f"{ONE_A_REQUEST.name}: drained, with as many API processes as serve best, by what FastAPI alone "
            "answers from one",
            1,
            ratios(most, alone),
            unit=" times",
        ),
        Target(f"{HUNDRED_A_REQUEST.name}: drained", 45_000, hundred, unit="/s"),
        Target(
            f"{HUNDRED_A_REQUEST.name}: drained, by PostgreSQL alone, ids and counts, 100 a statement",
            34,
            _percent(ratios(hundred, same)),
            unit=" %",
        ),
    ]


def _latency(report: Report) -> list[Target]:
    accept = report.loads[ONE_CLIENT].get(footfall.POSTGRES)
    commit = report.percentiles(front.BARE_COMMIT, 50)
    p50 = [] if accept is None else [one.percentile_ms(50) for one in accept.accept]
    idle = front.visible_idle(footfall.POSTGRES)
    return [
        Target("accept, one client: p50, by a bare PostgreSQL commit", 3, ratios(p50, commit), True, " times"),
        _took(report, "accept at 70 % load", front.ACCEPT_LOADED, 99, 25),
        _took(report, "visible in popularity at 70 % load", front.VISIBLE_LOADED, 50, 120),
        _took(report, "visible in popularity at 70 % load", front.VISIBLE_LOADED, 99, 400),
        _took(report, "visible in popularity, one client and nothing else", idle, 50, 40),
    ]


def _reads(report: Report) -> list[Target]:
    top, alone, a_core = (
        report.values.get(name, []) for name in (reads.TOP_RATE, limits.FASTAPI_TOP, reads.HISTORY_A_CORE)
    )
    of_alone = _percent(ratios(top, alone))
    return [
        Target("/popularity/top, 32 connections, by FastAPI alone with the same bytes", 60, of_alone, unit=" %"),
        _took(report, reads.TOP_BESIDE_HALF, reads.TOP_BESIDE_HALF, 99, 5),
        _took(report, reads.TOP_BESIDE_TENTH, reads.TOP_BESIDE_TENTH, 99, 5),
        Target("history of 2,000, a second of the API's processor time", 250, a_core, unit="/s"),
        _took(report, reads.HISTORY_HALF, reads.HISTORY_HALF, 99, 10),
        _took(report, reads.HISTORY, reads.HISTORY, 99, 10),
    ]


def _space(report: Report) -> list[Target]:
    found = []
    for words, systems in (
        ("PostgreSQL", (footfall.POSTGRES, footfall.TWO_PROCESSES)),
        ("CQL", (footfall.CASSANDRA,)),
    ):
        for part in ("api", "worker"):
            highest = memory.highest(report, systems, part)
            found.append(
                Target(f"memory of {part}, highest under load, blocks in {words}", 150, highest, True, " MB")
            )
    for name, bound in ((rest.FIRST_WEEK, 60), (rest.ALL_BLOCKS, 60), (rest.WITH_LEDGER, 120)):
        words = f"on disk: {name.removesuffix(': bytes an event')}"
        found.append(Target(words, bound, report.values.get(name, []), True, " bytes an event"))
    return found


def _took(report: Report, words: str, name: str, percent: float, bound_ms: float) -> Target:
    return Target(f"{words}: p{percent:g}", bound_ms, report.percentiles(name, percent), True, " ms")


def _percent(shares: Sequence[float]) -> list[float]:
    return [share * 100 for share in shares]
