"""One pair as a figure for a paper: where in time and frequency, with the sums over either at its sides.

One column wide, text as text, under a title that says what was compared. Needs matplotlib (extra plot).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..comparison import Comparison
from ..judge.explain import Explanation, Region, taken_apart
from ..result import Result
from . import charts, pictures
from .sound import duration

Array = NDArray[Any]
Form = Literal["png", "svg", "pdf"]

WIDTH, HEIGHT = 3.5, 2.6  # inches: a column of a two-column page
REGIONS = 3  # outlined
RESOLUTION = 300  # dots per inch, of a PNG and of the picture within an SVG
STYLE = {
    "font.size": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 0.8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,
    "svg.hashsalt": "audiosim",  # the same figure, the same bytes
}


def levels(comparison: Comparison, specs: Sequence[str], form: Form, name: str = "") -> bytes:
    """The level of the test over that of the reference; at the sides the first of the metrics that has a profile.

    name: of the pair, for the title.
    """
    rate, whole = comparison.ref.rate, duration(comparison)
    stop = max(comparison.ref.length, comparison.test.length)
    (ref, edges), (test, _) = (pictures.power(s.samples, rate, 0, stop, 500) for s in (comparison.ref, comparison.test))
    ref_db, test_db, _ = pictures.decibels(ref, test)
    change = test_db - ref_db
    end = float(np.clip(np.percentile(np.abs(change), 99.5), 3.0, 30.0))
    usable = [s for s in specs if comparison.results[s].per_time is not None or comparison.results[s].map is not None]
    spec = usable[0] if usable else specs[0]
    result = comparison.results[spec]
    found = taken_apart(spec, comparison, result)
    card = metrics.get(metrics.parse(spec).name).card
    what = charts.unit(result, card, profile=True)
    share = card.profile == "share"
    return _drawn(
        form,
        _title(spec, result, name),
        (np.linspace(0.0, whole, change.shape[1] + 1), edges, change),
        (-end, end, pictures.difference_map()),
        "test over reference [dB]",
        f"{spec} [{'%' if share else what}]" if what else spec,
        _scaled(result.per_time, share),
        _scaled(result.per_band, share),
        result,
        found.regions[:REGIONS],
    )


def shares(found: Explanation, form: Form) -> bytes:
    """The metric's map, each cell by its density; at the sides the shares of the distance per band and frame."""
    result, whole = found.result, duration(found.comparison)
    times = np.concatenate([[0.0], (found.times[1:] + found.times[:-1]) / 2, [whole]])
    if not len(found.times):  # no distance, nothing to show but that
        times, edges, cells = np.array([0.0, whole]), np.array([50.0, found.comparison.ref.rate / 2]), np.zeros((1, 1))
    else:
        edges = found.edges
        octaves = np.log2(np.maximum(edges[1:], 40.0) / np.maximum(edges[:-1], 20.0))
        cells = (100 * found.map / (np.maximum(np.diff(times), 1e-9)[:, None] * np.maximum(octaves, 1e-9))).T
    top = float(np.percentile(cells, 99.8)) or float(cells.max()) or 1.0
    return _drawn(
        form,
        _title(found.spec, result),
        (times, edges, cells),
        (0.0, top, pictures.brightness_map()[::-1]),
        f"{found.spec}: {found.of}\n[% per s and octave]",
        "share [%]",
        100 * found.per_time if len(found.per_time) else None,
        100 * found.per_band if len(found.per_band) else None,
        result,
        found.regions[:REGIONS],
    )


def ranking(scores: Sequence[Mapping[str, Any]], form: Form) -> bytes:
    """A panel a metric: the mean of each system with its 95 % interval, the best at the top.

    scores: rows of summary.Summary.table(). What has no mean is left out, and a metric without any says so.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for score in scores:
        by_metric.setdefault(score["metric"], []).append(score)
    heights = [len(own) + 3 for own in by_metric.values()] or [3]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.3 + 0.17 * sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        figure.suptitle("means over the pairs, 95 % intervals", fontsize=7)
        for axes, (metric, own) in zip(panels, by_metric.items(), strict=False):
            sign = -1 if own[0]["better"] == "higher" else 1
            known = [s for s in own if np.isfinite([s["mean"], s["low"], s["high"]]).all()]
            known.sort(key=lambda s: sign * s["mean"])
            rows = range(len(known))
            axes.hlines(rows, [s["low"] for s in known], [s["high"] for s in known], color="0.55", linewidth=2)
            axes.plot([s["mean"] for s in known], rows, "o", markersize=3, color="0.1")
            axes.set_yticks(rows, [str(s["system"] or "all") for s in known], parse_math=False)
            axes.set_ylim(max(len(known), 1) - 0.4, -0.6)
            unit = "" if own[0]["unit"] == "1" else f" [{own[0]['unit']}]"
            axes.set_xlabel(f"{metric}{unit}, {own[0]['better']} is better", parse_math=False, labelpad=2)
            axes.spines[["top", "right"]].set_visible(False)
            if not known:
                axes.text(0.5, 0.5, "no mean", transform=axes.transAxes, horizontalalignment="center")
        return _written(figure, form)


def _drawn(
    form: Form,
    title: str,
    picture: tuple[Array, Array, Array],
    colours: tuple[float, float, Array],
    colour_label: str,
    label: str,
    per_time: Array | None,
    per_band: Array | None,
    result: Result,
    regions: Sequence[Region],
) -> bytes:
    """picture: bounds in s [column + 1], in Hz [row + 1], cells [row, column]. colours: from, to, map."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap, PowerNorm
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2, 3, width_ratios=(3.4, 1, 0.14), height_ratios=(2.6, 1))
        middle = figure.add_subplot(grid[0, 0])
        below = figure.add_subplot(grid[1, 0], sharex=middle)
        beside = figure.add_subplot(grid[0, 1], sharey=middle)
        times, edges, cells = picture
        low = max(float(edges[0]), pictures.LOWEST if edges[-1] > 4 * pictures.LOWEST else edges[-1] / 64)
        low, high, palette = low, float(edges[-1]), _opaque(colours[2]) / 255
        drawn = middle.pcolormesh(
            times,
            np.maximum(edges, low * 0.5),
            cells,
            norm=PowerNorm(1.0 if colours[0] else 0.5, *colours[:2]),
            cmap=ListedColormap(palette),
            rasterized=True,
        )
        middle.set_yscale("log")
        middle.set_ylim(low, high)
        ticks = [f for f in (100, 1000, 10000) if low <= f <= high]
        middle.set_yticks(ticks, [f"{f / 1000:g}" for f in ticks])
        middle.set_yticks([], minor=True)
        middle.set_ylabel("frequency [kHz]")
        middle.tick_params(labelbottom=False)
        for r in regions:
            corner = r.start, max(r.low, low)
            size = r.end - r.start, min(r.high, high) - corner[1]
            middle.add_patch(Rectangle(corner, *size, fill=False, linewidth=0.6, linestyle=(0, (3, 2)), color="0.15"))
        bar = figure.colorbar(drawn, cax=figure.add_subplot(grid[0, 2]))
        bar.set_label(colour_label, labelpad=2, fontsize=6)
        bar.outline.set_linewidth(0.6)
        figure.suptitle(title, fontsize=7, x=0.01, horizontalalignment="left", parse_math=False)
        dark = "0.2"
        if per_time is not None and result.times is not None and np.isfinite(per_time).any():
            below.plot(result.times, np.where(np.isfinite(per_time), per_time, np.nan), color=dark)
        below.set_xlim(0.0, float(times[-1]))
        below.set_xlabel("time [s]")
        below.set_ylabel(label, fontsize=6)
        if per_band is not None and result.edges is not None and np.isfinite(per_band).any():
            values = np.where(np.isfinite(per_band), per_band, 0.0)
            beside.stairs(
                values, np.maximum(result.edges, low * 0.5), orientation="horizontal", color="0.55", fill=True
            )
            beside.axvline(0.0, color=dark, linewidth=0.5)
        beside.tick_params(labelleft=False)
        beside.set_xlabel(label, fontsize=6, labelpad=2)
        beside.xaxis.set_label_position("top")
        beside.xaxis.tick_top()
        below.spines[["top", "right"]].set_visible(False)
        beside.spines[["bottom", "right"]].set_visible(False)
        figure.align_ylabels([middle, below])
        return _written(figure, form)


def _written(figure: Any, form: Form) -> bytes:
    figure.draw_without_rendering()  # lays it out, but not to the last bit the same each time
    places = [np.round(axes.get_position().bounds, 6) for axes in figure.axes]
    figure.set_layout_engine("none")
    for axes, place in zip(figure.axes, places, strict=True):
        axes.set_position(place)
    out = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    figure.savefig(out, format=form, dpi=RESOLUTION, metadata=metadata)
    return out.getvalue()


def _title(spec: str, result: Result, name: str = "") -> str:
    """The pair, and what the metric says of it."""
    value = f"{spec} {charts.number(float(f'{result.value:.4g}'))}" + ("" if result.unit == "1" else f" {result.unit}")
    return f"{name}: {value}" if name else value


def _scaled(values: Array | None, share: bool) -> Array | None:
    return None if values is None else values * (100 if share else 1)


def _opaque(palette: Array) -> Array:
    """The colours on white paper, [level, red green blue]."""
    alpha = palette[:, 3:] / 255
    result: Array = palette[:, :3] * alpha + 255 * (1 - alpha)
    return result
