"""Plots of a comparison, as PNG and SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

plt.switch_backend("Agg")

Series = Mapping[str, Sequence[float]]
"""Label → one value a round."""


def bars(out: Path, title: str, unit: str, series: Series, *, logarithmic: bool = False) -> None:
    """A bar a label, at the median, with a line from the smallest to the largest value; `out` has no suffix."""
    labels = list(series)
    medians = [median(series[label]) for label in labels]
    below = [middle - min(series[label]) for middle, label in zip(medians, labels, strict=True)]
    above = [max(series[label]) - middle for middle, label in zip(medians, labels, strict=True)]
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.5 * len(labels)), layout="constrained")
    axes.barh(labels, medians, xerr=[below, above], capsize=3, color="#4c72b0")
    axes.invert_yaxis()
    axes.set_title(title)
    axes.set_xlabel(unit)
    if logarithmic:
        axes.set_xscale("log")
    for place, middle in enumerate(medians):
        axes.annotate(f" {middle:,.3g}" if middle < 100 else f" {middle:,.0f}", (middle, place), va="center")
    axes.margins(x=0.18)
    _save(figure, out)


def lines(out: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """A line a label through its points, both axes logarithmic: a cost that grows in proportion is a slope of one."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for label, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(title=title, xlabel=x, ylabel=y, xscale="log", yscale="log")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    for suffix in ("png", "svg"):
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=120, metadata={"Date": None} if suffix == "svg" else None)
    plt.close(figure)
