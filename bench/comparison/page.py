"""The page of a comparison, its figures as JSON, and its plots."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from bench import plots
from bench.comparison import front, texts
from bench.comparison.figures import HUNDRED_A_REQUEST, ONE_A_REQUEST, Figures, Load, Report, Section, ratios
from bench.comparison.targets import Target, targets
from bench.latency import PERCENTILES, Latency
from bench.peers import footfall, restate_peer, temporal_peer

_BASE = restate_peer.NAME
_HEADLINE = (footfall.POSTGRES, restate_peer.NAME, temporal_peer.NAME)
_LATENCY_HEAD = "| | p50 ms | p90 | p99 | p99.9 | longest | how many |\n| --- | --- | --- | --- | --- | --- | --- |"


def page(report: Report) -> str:
    """Markdown; every figure is the median of the rounds, with the smallest and the largest beside it."""
    parts = [_asked(report)]
    parts += [_load(one, systems) for one, systems in report.loads.items() if systems]
    parts += [_section(report, section) for section in Section if section in report.sections.values()]
    return "\n\n".join([*parts, texts.GORSE, texts.HOW, _exact(report)]) + "\n"


def _asked(report: Report) -> str:
    lines = [
        "## What was asked, and what was reached\n",
        "| asked | | found | reached |",
        "| --- | --- | --- | --- |",
    ]
    for one in targets(report):
        bound = f"{'≤' if one.at_most else '≥'} {one.bound:,g}{one.unit}"
        said = {True: "yes", False: "no", None: "not measured"}[one.reached]
        found = f"{_spread(one.found)}{one.unit}" if one.found else ""
        lines.append(f"| {one.asked} | {bound} | {found} | {said} |")
    return "\n".join(lines)


def _load(one: Load, systems: dict[str, Figures]) -> str:
    lines = [
        f"## {one.name}\n",
        "| system | accepted/s | drained/s | by Restate | everywhere/s | p50 ms | p90 | p99 | p99.9 | longest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    base = systems[_BASE].drained_per_s if _BASE in systems else []
    for name, found in systems.items():
        times = ratios(found.drained_per_s, base)
        cells = [
            name,
            _number(median(found.accepted_per_s)),
            _spread(found.drained_per_s),
            _number(median(times)) if times else "",
            _number(median(found.everywhere_per_s)) if found.everywhere_per_s else "",
            *_percentiles(found.accept),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _section(report: Report, section: Section) -> str:
    parts = [f"## {section.value}"]
    if note := texts.NOTES.get(section):
        parts.append(note)
    latencies = [name for name in report.latencies if report.sections[name] is section]
    values = [name for name in report.values if report.sections[name] is section]
    if latencies:
        rows = (
            [name, *_percentiles(found), f"{sum(one.count for one in found):,}"]
            for name, found in report.latencies.items()
            if name in latencies
        )
        parts.append("\n".join([_LATENCY_HEAD, *(f"| {' | '.join(row)} |" for row in rows)]))
    if values:
        found = (f"| {name} | {_spread(report.values[name])} |" for name in values)
        parts.append("\n".join(["| | |\n| --- | --- |", *found]))
    return "\n\n".join(parts)


def _exact(report: Report) -> str:
    return "\n\n".join(
        [
            "## Exactly once",
            "Counts held against what was accepted before each stop; where they differ, there is no page.",
            "\n".join(f"- {line}" for line in report.exact),
        ]
    )


def _percentiles(found: Sequence[Latency]) -> list[str]:
    """Medians of the rounds; of the longest, the longest."""
    shown = [_number(median(one.percentile_ms(percent) for one in found)) for percent in PERCENTILES]
    return [*shown, _number(max(one.max_ms for one in found))]


def _spread(values: Sequence[float]) -> str:
    middle = _number(median(values))
    return f"{middle} ({_number(min(values))} - {_number(max(values))})" if len(values) > 1 else middle


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write(out: Path, machine: str, report: Report) -> None:
    """compare.md, compare.json, and the plots as PNG and SVG."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.md").write_text(f"# Beside others\n\n{texts.INTRODUCTION}\n\n{machine}\n\n{page(report)}")
    (out / "compare.json").write_text(json.dumps(_as_json(machine, report), indent=1) + "\n")
    for one, systems in report.loads.items():
        if not systems:
            continue
        drained = {name: found.drained_per_s for name, found in systems.items()}
        place = out / f"compare-{one.events}-{one.connections}"
        plots.bars(place, f"Counted in popularity: {one.name}", "interactions a second", drained, logarithmic=True)
    _plot_headline(out / "compare", report)
    _plot_latency(out / "compare-latency", report)


def _plot_headline(out: Path, report: Report) -> None:
    panels = {
        one.name: {name: report.drained(name, one) for name in _HEADLINE if report.drained(name, one)}
        for one in (ONE_A_REQUEST, HUNDRED_A_REQUEST)
    }
    shown = {title: series for title, series in panels.items() if series}
    if shown:
        plots.panels(out, "interactions a second, accepted and counted once", shown)


def _plot_latency(out: Path, report: Report) -> None:
    wanted = {
        "accepted": front.ACCEPT_LOADED,
        "visible in popularity": front.VISIBLE_LOADED,
    }
    curves = {
        label: _merged(report.latencies[name]).curve() for label, name in wanted.items() if name in report.latencies
    }
    if curves:
        plots.percentiles(out, "At 70 % of what it drains, from the intended start", curves)


def _merged(found: Iterable[Latency]) -> Latency:
    return Latency.merged([one.encode() for one in found])


def _as_json(machine: str, report: Report) -> dict[str, object]:
    return {
        "machine": machine,
        "targets": [_target(one) for one in targets(report)],
        "loads": {
            one.name: {
                name: {
                    "accepted_per_s": found.accepted_per_s,
                    "drained_per_s": found.drained_per_s,
                    "everywhere_per_s": found.everywhere_per_s,
                    "accept": [_latency(each) for each in found.accept],
                }
                for name, found in systems.items()
            }
            for one, systems in report.loads.items()
        },
        "latencies": {name: [_latency(one) for one in found] for name, found in report.latencies.items()},
        "values": report.values,
        "exact": report.exact,
    }


def _target(one: Target) -> dict[str, object]:
    return {
        "asked": one.asked,
        "bound": one.bound,
        "at_most": one.at_most,
        "unit": one.unit.strip(),
        "found": list(one.found),
        "reached": one.reached,
    }


def _latency(one: Latency) -> dict[str, object]:
    percentiles = {f"p{percent:g}_ms": one.percentile_ms(percent) for percent in PERCENTILES}
    return {"count": one.count, **percentiles, "max_ms": one.max_ms, "hdr_histogram_us": one.encode()}
