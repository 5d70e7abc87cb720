"""Coordinates of the lines, bars and ticks in the page's SVG; no markup."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..card import Card
from ..errors import UsageError
from ..judge import gates as requirements
from ..judge.rows import Row
from ..result import Result

Array = NDArray[Any]
View = tuple[float, float]  # seconds, from and to

COLUMNS = 1000  # of a waveform
POINTS = 500  # of a course over time
REACH = 2.0  # a gate is drawn when it lies within so many times the extent of the values
SIGNS = {"<=": "≤", ">=": "≥"}
ARROWS = {"higher": "↑", "lower": "↓"}


def number(value: float) -> str:
    """Five significant digits, with a real minus."""
    return f"{value:.5g}".replace("-", "\N{MINUS SIGN}")


def clock(seconds: float) -> str:
    """Minutes, seconds and hundredths: 1:02.50."""
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"


def hertz(frequency: float) -> str:
    """A frequency for people: 250 Hz, 2.1 kHz."""
    return f"{float(f'{frequency / 1000:.2g}'):g} kHz" if frequency >= 999.5 else f"{frequency:.0f} Hz"


def percent(share: float) -> str:
    """A coordinate of SVG."""
    return f"{100 * share:.2f}%"


def wave(samples: Array, rate: int, view: View, peak: float) -> str:
    """SVG path, 1000 wide and 200 high, of lowest and highest sample over time and all channels; peak fills it."""
    first, last = round(view[0] * rate), max(round(view[1] * rate), round(view[0] * rate) + 1)
    columns = min(COLUMNS, last - first)
    edges = first + np.arange(columns + 1) * (last - first) // columns
    low, high = np.zeros(columns), np.zeros(columns)
    heard = int(np.searchsorted(edges[:-1], samples.shape[1]))  # it may end before the view does
    if heard:
        inside = samples[:, : min(last, samples.shape[1])]
        low[:heard] = np.minimum.reduceat(inside, edges[:heard], axis=1).min(axis=0)
        high[:heard] = np.maximum.reduceat(inside, edges[:heard], axis=1).max(axis=0)
    y = np.rint(100 - 98 * np.concatenate([high, low[::-1]]) / (peak or 1.0)).astype(int)
    x = np.rint(np.arange(columns + 1)[:-1] * COLUMNS / max(columns - 1, 1)).astype(int)
    x = np.concatenate([x, x[::-1]])
    y[columns:] = np.maximum(y[columns:], y[:columns][::-1] + 1)  # a line where there is no extent
    steps = zip(np.diff(x), np.diff(y), strict=True)
    return f"M{x[0]} {y[0]}l" + " ".join(f"{dx} {dy}" for dx, dy in steps) + "z"


def course(result: Result, spec: str, card: Card, gates: Sequence[Row], view: View) -> dict[str, Any] | None:
    """A metric over time, 1000 wide and 100 high; None where it has no finite number there. Gates of the whole value
    are drawn where the course is in the unit of the value."""
    if result.per_time is None or result.times is None or not len(result.times):
        return None
    share = card.profile == "share"
    seen = (result.times >= view[0]) & (result.times <= view[1])
    times, values = result.times[seen], np.where(np.isfinite(result.per_time[seen]), result.per_time[seen], np.nan)
    if not np.isfinite(values).any():
        return None
    worst = np.nanmin if card.better == "higher" and not share else np.nanmax
    starts = np.unique(np.linspace(0, len(values), min(POINTS, len(values)) + 1).astype(int))
    cells = [values[a:b] for a, b in pairwise(starts)]
    y = np.array([worst(c) if np.isfinite(c).any() else np.nan for c in cells])
    x = np.add.reduceat(times, starts[:-1]) / np.diff(starts)
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    if share:
        low = 0.0
    limits = [] if share or card.profile_unit else _limits(gates, spec)
    span = (high - low) or abs(high) or 1.0
    limits = [(op, at) for op, at in limits if low - REACH * span <= at <= high + REACH * span]
    low, high = min([low, *(at for _, at in limits)]), max([high, *(at for _, at in limits)])
    span = (high - low) or abs(high) or 1.0
    place = (x - view[0]) / ((view[1] - view[0]) or 1.0) * 1000

    def height(value: Any) -> Any:
        return 94 - 88 * (value - low) / span

    runs, start = [], None
    for i in range(len(y) + 1):
        if i < len(y) and np.isfinite(y[i]):
            start = i if start is None else start
        elif start is not None:
            points = [f"{place[j]:.0f} {height(y[j]):.1f}" for j in range(start, i)]
            if len(points) == 1:
                points = [
                    f"{place[start] - 3:.0f} {height(y[start]):.1f}",
                    f"{place[start] + 3:.0f} {height(y[start]):.1f}",
                ]
            if share:
                points = [f"{place[start]:.0f} 100", *points, f"{place[i - 1]:.0f} 100"]
            runs.append("M" + "L".join(points))
            start = None
    return {
        "spec": spec,
        "share": share,
        "unit": unit(result, card, profile=True),
        "arrow": "" if share else ARROWS[card.better],
        "path": "".join(runs),
        "low": f"{100 * low:.3g} %" if share else number(float(f"{low:.3g}")),
        "high": f"{100 * high:.3g} %" if share else number(float(f"{high:.3g}")),
        "gates": [
            {
                "y": f"{height(at):.1f}",
                "top": "0" if op in ("<", "<=") else f"{height(at):.1f}",
                "height": f"{height(at):.1f}" if op in ("<", "<=") else f"{100 - height(at):.1f}",
                "text": f"{SIGNS.get(op, op)} {number(at)}",
            }
            for op, at in limits
        ],
    }


def bars(result: Result, spec: str, card: Card) -> dict[str, Any] | None:
    """A metric by band, one unit wide a band and 100 high, from zero; None where it has no number there."""
    if result.per_band is None or result.bands is None or not np.isfinite(result.per_band).any():
        return None
    share = card.profile == "share"
    values, bands = result.per_band * (100 if share else 1), result.bands
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    span = (high - low) or 1.0
    drawn = np.nan_to_num(values, nan=0.0, posinf=high, neginf=low)
    worst = float(finite.min() if card.better == "higher" and not share else finite.max())
    what = unit(result, card, profile=True)
    zero = 4 + 92 * high / span

    def said(frequency: float, value: float) -> str:
        return f"{hertz(frequency)}: {'no value' if np.isnan(value) else number(value) + (f' {what}' if what else '')}"

    return {
        "spec": spec,
        "unit": what,
        "arrow": "" if share else ARROWS[card.better],
        "low": number(float(f"{finite.min():.3g}")),
        "high": number(float(f"{finite.max():.3g}")),
        "count": len(values),
        "wide": 0.84 if len(values) < 200 else 1,
        "zero": f"{zero:.1f}",
        "rects": [
            {
                "x": f"{i + 0.08:.2f}" if len(values) < 200 else i,
                "y": f"{min(zero, zero - 92 * value / span):.1f}",
                "height": f"{max(abs(92 * value / span), 0.6):.1f}",
                "worst": value == worst and low != high,
                "text": said(frequency, given),
            }
            for i, (frequency, value, given) in enumerate(zip(bands, drawn, values, strict=True))
        ],
        "ticks": [
            {"x": percent(at), "text": hertz(f), "anchor": _anchor(at)}
            for f in (100, 1000, 4000, 10000)
            if bands[0] <= f <= bands[-1]
            for at in ((float(np.interp(f, bands, np.arange(len(bands)))) + 0.5) / len(bands),)
        ],
    }


def unit(result: Result, card: Card, *, profile: bool = False) -> str:
    """As the page shows it; profile: of the breakdown by band or time."""
    if profile and card.profile == "share":
        return "% of the difference"
    name = (card.profile_unit if profile else None) or result.unit
    return "" if name == "1" else name


def time_ticks(view: View) -> list[dict[str, str]]:
    """At round seconds, about six of them."""
    span = (view[1] - view[0]) or 1.0
    steps = [m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)]
    step = next((s for s in steps if span / s <= 7), span)
    first, last = int(np.ceil(view[0] / step - 1e-9)), int(np.floor(view[1] / step + 1e-9))
    ticks = [step * i for i in range(first, last + 1)]
    digits = max(0, -int(np.floor(np.log10(step))))
    return [
        {
            "x": percent((t - view[0]) / span),
            "text": (f"{t:.{digits}f}" if t < 60 or step < 1 else f"{int(t) // 60}:{int(t) % 60:02d}")
            + (" s" if i == 0 else ""),
            "anchor": _anchor((t - view[0]) / span),
        }
        for i, t in enumerate(ticks)
    ]


def hertz_ticks(edges: Array) -> list[dict[str, str]]:
    """Over the height of a picture whose rows are equally wide in log frequency."""
    whole = np.log(edges[-1] / edges[0])
    places = {f: 1 - float(np.log(f / edges[0]) / whole) for f in (100, 300, 1000, 3000, 10000)}
    return [{"y": percent(y), "text": hertz(f)} for f, y in places.items() if 0.04 < y < 0.97]


def _anchor(place: float) -> str:
    return "start" if place < 0.02 else "end" if place > 0.98 else "middle"


def _limits(gates: Sequence[Row], spec: str) -> list[tuple[str, float]]:
    """(operator, limit) of the gates on the whole value of the metric."""
    found = []
    for row in gates:
        try:
            gate = requirements.parse(row["require"])
        except UsageError:  # of a whole batch
            continue
        if gate.spec == spec and gate.band is None and gate.channel is None and np.isfinite(gate.limit):
            found.append((gate.operator, gate.limit))
    return found
