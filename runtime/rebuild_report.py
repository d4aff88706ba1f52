"""What `footfall rebuild` and `footfall verify` print: words as they come, or one JSON object in the end."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.status import Status

from domain.event_types import SCORE_UNIT, UNITS_PER_POINT
from domain.rebuild import Counts, Difference, Purpose, RebuildProgress, RebuildResult
from intake.recount import LedgerFault

_NAMES = ("views", "purchases", "favorites", "carts", "reviews")


class Report:
    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._differences: list[dict[str, Any]] = []
        self._ledger: list[dict[str, Any]] = []

    def status(self) -> "AbstractContextManager[Status | _Quiet]":
        return nullcontext(_Quiet()) if self._as_json else self._console.status("waiting for a worker …")

    def started(self, workflow_id: str) -> None:
        self._print(f"runs as workflow {workflow_id}")

    def progress(self, now: RebuildProgress | None) -> str:
        if now is None:
            return "waiting for a worker …"
        done = now.done
        ranges = f"{done.ranges} ranges done, {now.ranges_left} left"
        return f"{now.stage}; {ranges}; {done.events:,} interactions of {done.accounts:,} accounts"

    def difference(self, one: Difference) -> None:
        """Said at once; a difference may be one of very many."""
        if self._as_json:
            self._differences.append(_as_dict(one))
        else:
            self._print(_words(one))

    def ledger_fault(self, one: LedgerFault) -> None:
        if self._as_json:
            self._ledger.append({"event_id": str(one.event_id), "day": one.day.isoformat(), "fault": one.fault})
        elif one.fault == "in no block":
            self._print(f"{one.event_id} of {one.day}: accepted, but in no block")
        else:
            self._print(f"{one.event_id} of {one.day}: in a block, unknown to the ledger")

    def ended(self, purpose: Purpose, done: RebuildResult) -> None:
        """The end of the story, with the worst of what differs where not all of it was named."""
        if purpose in {"rebuild", "compare"}:
            for one in done.settled.worst:
                self.difference(one)
        if self._as_json:
            print(json.dumps(self._object(done)))  # noqa: T201
            return
        for line in _summary(purpose, done):
            self._print(line)

    def _object(self, done: RebuildResult) -> dict[str, Any]:
        settled = done.settled
        return {
            "accounts": done.recounted.accounts,
            "interactions": done.recounted.events,
            "counted": done.recounted.counted,
            "products_differ": settled.products,
            "product_days_differ": settled.product_days,
            "in_no_block": settled.in_no_block,
            "unknown_to_ledger": settled.unknown_to_ledger,
            "repaired": done.added,
            "differences": self._differences,
            "ledger": self._ledger,
        }

    def _print(self, line: str) -> None:
        if not self._as_json:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _Quiet:
    def update(self, _line: str) -> None:
        """Nothing beside the JSON."""


def _summary(purpose: Purpose, done: RebuildResult) -> list[str]:
    settled, recounted = done.settled, done.recounted
    lines = [f"{recounted.events:,} interactions of {recounted.accounts:,} accounts recounted"]
    if not settled.any:
        return [*lines, "nothing differs"]
    lines.append(f"{settled.products:,} products and {settled.product_days:,} of their days differ")
    if settled.in_no_block:
        lines.append(f"{settled.in_no_block:,} interactions were accepted, but are in no block")
    if settled.unknown_to_ledger:
        lines.append(f"{settled.unknown_to_ledger:,} interactions are in a block, but unknown to the ledger")
    if done.added:
        lines.append("mended: what is live now is what the blocks say")
    elif purpose == "repair":
        lines.append("not mended: nobody read the differences in time")
    if done.added and settled.in_no_block:
        lines.append("the ledger has forgotten the ids that are in no block: they can be sent again")
    return lines


def _words(one: Difference) -> str:
    what = f"total of {one.product_id!r}" if one.day is None else f"{one.day} of {one.product_id!r}"
    parts = []
    if one.live.score != one.recount.score:
        parts.append(f"score {_score(one.live.score)}, by the blocks {_score(one.recount.score)}")
    live, recount = asdict(one.live), asdict(one.recount)
    parts += [f"{name} {live[name]}, by the blocks {recount[name]}" for name in _NAMES if live[name] != recount[name]]
    return f"{what}: {'; '.join(parts)}"


def _as_dict(one: Difference) -> dict[str, Any]:
    return {"product_id": one.product_id, "day": one.day, "live": _counts(one.live), "recount": _counts(one.recount)}


def _counts(counts: Counts) -> dict[str, Any]:
    return {**asdict(counts), "score": counts.score / UNITS_PER_POINT}


def _score(millionths: int) -> str:
    return f"{millionths * SCORE_UNIT:f}"
