"""Plots of a comparison, as PNG and SVG."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

plt.switch_backend("Agg")

Series = Mapping[str, Sequence[float]]
"""Label → one value a round."""

_SHOWN = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def bars(out: Path, title: str, unit: str, series: Series, *, logarithmic: bool = False) -> None:
    """A bar a label, at the median, with a line from the smallest to the largest value; `out` has no suffix."""
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.5 * len(series)), layout="constrained")
    _bars(axes, title, series, logarithmic=logarithmic)
    axes.set_xlabel(unit)
    _save(figure, out)


def panels(out: Path, unit: str, series: Mapping[str, Series]) -> None:
    """Such bars, title by title beneath each other, each with an axis of its own."""
    heights = [0.8 + 0.35 * len(one) for one in series.values()]
    figure, axes = plt.subplots(
        len(series), squeeze=False, figsize=(8, sum(heights)), height_ratios=heights, layout="constrained"
    )
    for place, (title, one) in zip(axes[:, 0], series.items(), strict=True):
        _bars(place, title, one)
    axes[-1, 0].set_xlabel(unit)
    _save(figure, out)


def _bars(axes: Axes, title: str, series: Series, *, logarithmic: bool = False) -> None:
    labels = list(series)
    medians = [median(series[label]) for label in labels]
    below = [middle - min(series[label]) for middle, label in zip(medians, labels, strict=True)]
    above = [max(series[label]) - middle for middle, label in zip(medians, labels, strict=True)]
    axes.barh(labels, medians, xerr=[below, above], capsize=3, color="#4c72b0")
    axes.invert_yaxis()
    axes.set_title(title)
    if logarithmic:
        axes.set_xscale("log")
    for place, (middle, more) in enumerate(zip(medians, above, strict=True)):
        text = f" {middle:,.3g}" if middle < 100 else f" {middle:,.0f}"
        axes.annotate(text, (middle + more, place), va="center")
    if logarithmic:
        axes.set_xlim(1, 6 * max(middle + more for middle, more in zip(medians, above, strict=True)))
    else:
        axes.margins(x=0.18)


def percentiles(out: Path, title: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """(percentile, milliseconds): the closer to 100, the more room; milliseconds logarithmic."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for label, points in curves.items():
        axes.plot([_nines(percent) for percent, _ in points], [value for _, value in points], label=label)
    axes.set_xticks([_nines(percent) for percent in _SHOWN], [f"{percent:g}" for percent in _SHOWN])
    axes.set(title=title, xlabel="percentile", ylabel="milliseconds", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    _save(figure, out)


def _nines(percent: float) -> float:
    """0 is 0, 90 is 1, 99 is 2, 99.9 is 3."""
    return -math.log10(1 - percent / 100)


def lines(out: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """A line a label through its points, both axes logarithmic: a cost that grows in proportion is a slope of one."""
    figure, axes = plt.subplots(figsize=(8, 4.5 + 0.1 * len(series)), layout="constrained")
    for label, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(title=title, xlabel=x, ylabel=y, xscale="log", yscale="log")
    axes.grid(which="both", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    _save(figure, out)


def timeline(
    out: Path, title: str, x: str, panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
) -> None:
    """Panels above each other over the same times, both axes linear and from 0: y label → label → points."""
    figure, places = plt.subplots(
        len(panels), figsize=(11, 2.6 * len(panels)), sharex=True, squeeze=False, layout="constrained"
    )
    for axes, (unit, series) in zip(places[:, 0], panels.items(), strict=True):
        for label, points in series.items():
            axes.plot(*zip(*points, strict=True), linewidth=1, label=label)
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
    places[0, 0].set_title(title)
    places[-1, 0].set_xlabel(x)
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    for suffix in ("png", "svg"):
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=120, metadata={"Date": None} if suffix == "svg" else None)
    plt.close(figure)
