"""Metrics that need no alignment: a recording becomes one vector of a fixed size, and two vectors have a distance.

Beside CARD, Options and measure, the file of such a metric offers

feature(samples [channel, sample] at CARD.rate, options) -> float64 [value]. NoFeature says why there is none.
distances(one [value], many [item, value], options) -> float64 [item]: 0 for equal ones, symmetric.

and makes its `measure` of them by the one here; and its `twin`, where it has a gradient, of the same two as torch text.
Metric.feature and Metric.distances call them for recordings of any rate: whoever compares a collection keeps the
vectors, and needs the recordings once.

Profile and map are the same for all of them: where the spectrum of the test is unlike that of the reference at any
time, as squared distances in units of the spread that the reference has in the band, levels evened out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answer import Channel, Pair, View, error_frames, shares
from ..engine import cache, fold
from ..engine.frames import STFT
from ..errors import NoFeature
from ..hearing import scales
from ..result import Twin

Array = NDArray[Any]
Feature = Callable[[Array, Any], Array]
Distances = Callable[[Array, Array, Any], Array]

RANGE = 1e-8  # of the mean power of a band, below which the map hears nothing
STEADY = 1.0  # nepers of spread that every band has at least, however few the frames


def measure(
    pairs: Sequence[Pair],
    feature: Feature,
    distances: Distances,
    o: Any,
    details: Callable[[Array, Array], dict[str, float]] | None = None,
) -> Channel:
    """The answer about all channels together. details: of the vectors of reference and test."""
    both = {name: np.stack([pair.samples[i] for pair in pairs]) for i, name in enumerate(("reference", "test"))}
    try:
        one, other = (_named(name, x, pairs[0].samples[i], feature, o) for i, (name, x) in enumerate(both.items()))
    except NoFeature as why:
        return Channel(value=nan, reason=str(why))
    value = float(distances(one, other[None], o)[0])
    where = {} if pairs[0].detail == "value" else unlike(mono(both["reference"]), mono(both["test"]), pairs[0])
    return Channel(value=value, details=details(one, other) if details else {}, **where)


def twin(feature: Callable[[Any], Any], distance: Callable[[Any, Any], Any]) -> Twin:
    """Of feature [item, channel, sample] -> [item, ...] and the distance of two such [item], torch text in float64."""
    from ..hearing.tensors import in_float64

    return in_float64(lambda ref, test: distance(feature(ref), feature(test))[:, None])


def too_short(samples: int, needed: int, rate: int) -> str:
    return f"too short: {needed / rate:.3f} s are needed, there are {samples / rate:.3g} s"


def _named(name: str, samples: Array, first: Array, feature: Feature, o: Any) -> Array:
    """The feature of samples [channel, sample], of which the first channel is kept by somebody."""
    try:
        return cache.cached(first, (feature, o, len(samples)), lambda: feature(samples, o))
    except NoFeature as why:
        raise NoFeature(f"the {name} {why}") from None


def sides(ref: dict[str, float], test: dict[str, float]) -> dict[str, float]:
    """Details of what was measured of reference and test, and the difference (test - ref)."""
    three = {"ref": ref, "test": test, "difference": {name: test[name] - value for name, value in ref.items()}}
    return {f"{name}_{side}": found[name] for name in ref for side, found in three.items()}


def mono(samples: Array) -> Array:
    """The mean of all channels, float64 [sample]: [channel, sample]. NoFeature where nothing is left."""
    mean: Array = samples.mean(0, dtype=np.float64)
    if not mean.any():
        raise NoFeature("is silent" if not samples.any() else "is silent when its channels are averaged")
    return mean


def unlike(ref: Array, test: Array, view: View) -> dict[str, Any]:
    """Fields of a Result: where the spectrum of test [sample] is far from that of ref [sample] at any time."""
    stft = error_frames(view.rate)
    frequencies = stft.frequencies(view.rate)
    cuts, edges = scales.bands(frequencies, view.rate / 2, view.band_edges)
    (r, _), (t, times) = (_log_bands(x, stft, cuts, view.rate) for x in (ref, test))
    cells = (t - r.mean(0)) ** 2 / (r.var(0) + STEADY**2)
    return shares(cells, times, frequencies, cuts, edges, view.detail)


def _log_bands(x: Array, stft: STFT, cuts: Array, rate: int) -> tuple[Array, Array]:
    """ln of the power in bands [frame, band], over that of the median frame, and centres in s of the frames: of whole
    ones, where there are any."""
    bands = np.concatenate([scales.by_band(z.real**2 + z.imag**2, cuts) for z in fold.spectra(x, stft)])
    logarithms = np.log(bands + (RANGE * bands.mean() + 1e-300))
    logarithms -= np.median(logarithms.mean(1))
    whole = slice(1, x.size // stft.hop) if x.size >= 2 * stft.hop else slice(None)
    return logarithms[whole], stft.times(len(bands), rate)[whole]
