"""What every metric must keep: each card is taken at its word. What it claims is tested, what it excepts
(`insensitive_to`, `identity_tolerance`, `symmetric=False`) too.

`check_metric` of audiosim.testing runs all of it on a metric from outside; our own tests run it on every metric.
Uncompiled it takes fewer signals, channels and curves of weighting: those that lead kernels along no way of their own
are left to the compiled run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, product
from math import inf, isclose, isfinite, isinf, isnan
from typing import Any, get_args, get_type_hints

import numpy as np

from .. import metrics
from ..card import Card
from ..errors import MissingExtra
from ..hearing.weighting import LAG, Weighting
from ..metric import Metric
from ..result import Result
from .signals import COMPILED, DISTORTIONS, SIGNALS, Array, added_click, added_noise, added_tone, affordable

AMPLE = 1.3  # times the shortest recording that a metric takes: some to cut from
PAUSES = 2.5  # times as much where silence does not count
ROUNDING = 1e-9  # of a value: closer ones are equal
ASYMMETRIC = 1e-6  # of a value, by which it must differ when the two are exchanged, or the metric is symmetric
UNHEARD = 1e-3  # of what it does hear, by which a distortion that it does not may move it
OTHER_CURVES = {*get_args(get_args(Weighting)[0])} - {*LAG, "a"}  # they too weigh before any kernel of a metric runs
ARRAYS = ("per_channel", "per_band", "per_time", "bands", "edges", "times", "map")


class Skip(Exception):
    """The check does not apply to the metric, and why."""


@dataclass(frozen=True, slots=True)
class Check:
    """A property that a metric must have: run(metric) raises AssertionError where it has not, Skip otherwise."""

    name: str
    run: Callable[[Metric], None]


CHECKS: list[Check] = []


def check(**parameters: list[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: the function is a check, with each combination of these parameters."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        for values in product(*parameters.values()):
            told = "-".join(getattr(v, "__name__", str(v)) for v in values)
            given = dict(zip(parameters, values, strict=True))
            CHECKS.append(Check(function.__name__ + (f"[{told}]" if told else ""), partial(function, **given)))
        return function

    return register


# The card


@check()
def card_is_complete(metric: Metric) -> None:
    card = metric.card
    for field, kind in get_type_hints(Card).items():
        value = getattr(card, field)
        if kind is str and field not in ("cap", "surrogate", "target_gradient_ignores", "conventions", "domain"):
            assert value.strip(), f"{field} is empty"
        if choices := [c for c in get_args(kind) if isinstance(c, str)]:
            assert value in choices, f"{field} is one of {', '.join(choices)}, not {value!r}"
    assert card.range[0] < card.range[1], "range is (lowest, highest)"
    assert card.identity_tolerance >= 0
    known = ", ".join(DISTORTIONS)
    assert {*card.insensitive_to, *card.loses_track} <= set(DISTORTIONS), f"distortions have the names {known}"
    assert card.rate is None or card.rate > 0
    if card.identical is not None:
        assert card.range[0] <= card.identical <= card.range[1], "identical is out of range"
    estimated = card.gradient in ("surrogate", "straight-through")
    assert bool(card.surrogate) == estimated, "surrogate says what a surrogate gradient is of"
    if card.triangle:
        assert card.symmetric, "who claims the triangle inequality claims a distance"


@check()
def title_is_its_own(metric: Metric) -> None:
    others = [n for n in metrics.names() if n != metric.name and metrics.get(n).card.title == metric.card.title]
    assert not others, f"{', '.join(others)} has the title {metric.card.title!r} too"
    assert metric.doc, "the module needs a docstring that says what the metric is, and its source"


@check()
def options_are_explained(metric: Metric) -> None:
    for option in metric.options.values():
        assert option.help.strip(), f"option {option.name} needs a line of help: Annotated[type, 'help']"
        option.check(option.default)


# The number


@check(signal=["noise", "speech_like", "clicks", *(["harmonic", "chord_music"] if COMPILED else [])])
def identical_files_give_exactly_what_the_card_says(metric: Metric, signal: str) -> None:
    x, card = make(signal, metric, channels=2), metric.card
    for samples in (x, x.astype(np.float32)):
        result = compute(metric, samples, samples.copy(), detail="map")
        if card.identical is not None:
            assert result.value == card.identical
            assert result.status == ("infinite" if isinf(card.identical) else "ok"), result.reason
            assert (result.per_channel == card.identical).all()


@check(signal=["pink", "speech_like"] if COMPILED else ["speech_like"])
def nothing_degraded_scores_better_than_an_identical_file(metric: Metric, signal: str) -> None:
    skip_who_judges_alone(metric)
    x, card = make(signal, metric), metric.card
    best = badness(card, compute(metric, x, x))
    for distortion, distorted in DISTORTIONS.items():
        for strength in (0.1, 1.0) if COMPILED else (0.3,):
            result = compute(metric, x, distorted(x, rate_of(metric), strength, 1))
            if result.status != "undefined":
                assert badness(card, result) >= best - card.identity_tolerance, (distortion, strength, result.value)


@check(distortion=["noise", "low_pass", "clipping"], signal=["noise", "speech_like"] if COMPILED else ["noise"])
def worse_sound_scores_worse(metric: Metric, distortion: str, signal: str) -> None:
    """In steps of 10 dB, and in the median of three files: a mean of power ratios hangs on its luckless bins. Who
    saturates is asked up to there, from the identical file on."""
    skip_who_judges_alone(metric)
    skip_who_compares_content(metric)
    card = metric.card
    if distortion in card.insensitive_to:
        raise Skip("its card says that it does not hear this; see test_blind")
    scores = []
    for strength in (0.03, 0.1, 0.3, 1.0):
        seconds = duration(metric, max(0.5, card.settles))
        files = [graded(signal, rate_of(metric), distortion, strength, seed, seconds) for seed in (1, 2, 3)]
        scores.append(float(np.median([badness(card, compute(metric, *pair)) for pair in files])))
    if card.identical is not None:
        scores.insert(0, card.identical if card.better == "lower" else -card.identical)
    if card.saturates is not None:
        end = card.saturates if card.better == "lower" else -card.saturates
        scores = [min(s, end) for s in (badness(card, compute(metric, files[0][0], files[0][0])), *scores)]
    gone = scores[-1] - next(s for s in scores if isfinite(s))
    assert gone > 0, scores
    for milder, stronger in pairwise(scores):
        assert stronger >= milder - 0.05 * gone, scores


@check()
def insensitive_to_what_the_card_says(metric: Metric) -> None:
    """On an already noisy file, the distortion moves the value by at most a thousandth of what the others do."""
    card, rate = metric.card, rate_of(metric)
    if not card.insensitive_to:
        raise Skip("its card names nothing that it does not hear")
    x = make("pink", metric, seconds=1.0)
    moved = partial(movements, lambda ref, test: compute(metric, ref, test).value, x, rate)
    scale = loudest(moved(1.0, [d for d in DISTORTIONS if d not in card.insensitive_to]))
    assert scale > 0, "it hears nothing at all"
    for strength in (0.3, 1.0):
        for distortion, change in moved(strength, card.insensitive_to).items():
            assert change <= UNHEARD * scale, (distortion, strength, change, scale)


@check()
def symmetry_is_as_the_card_says(metric: Metric) -> None:
    differences, heard = [], False
    for ref, test in pairs(metric, seconds=1.0):  # several frames of any metric, also uncompiled
        there, back = compute(metric, ref, test).value, compute(metric, test, ref).value
        differences.append(asymmetry(there, back))
        heard |= {there, back} != {metric.card.identical}
    if metric.card.symmetric:
        assert max(differences) <= ROUNDING
    elif heard and not metric.card.content:  # whose decisions may all fall alike
        assert max(differences) > ASYMMETRIC, "no pair shows an asymmetry: say symmetric=True"


@check()
def triangle_inequality_where_claimed(metric: Metric) -> None:
    if not metric.card.triangle:
        raise Skip("its card does not claim it")
    rate, x = rate_of(metric), make("pink", metric)
    on_a_line = [x, added_noise(x, rate, 0.1, 1), added_noise(x, rate, 0.2, 1)]  # where a squared distance fails
    files = [*on_a_line, *(y for pair in pairs(metric) for y in pair)]
    for a, b, c in zip(files, files[1:], files[2:], strict=False):
        way = compute(metric, a, b).value + compute(metric, b, c).value
        assert compute(metric, a, c).value <= way * (1 + ROUNDING)


@check()
def float32_and_float64_are_close(metric: Metric) -> None:
    for ref, test in pairs(metric)[:2]:  # not the low-passed one: its stop band lies below what float32 resolves
        single = ref.astype(np.float32), test.astype(np.float32)
        value = compute(metric, *single).value
        exact = compute(metric, *(x.astype(np.float64) for x in single)).value
        assert close(value, exact, rel=2e-3, floor=1e-9)


@check(channels=[2, 7] if COMPILED else [2])
def channels_are_measured_one_by_one(metric: Metric, channels: int) -> None:
    card = metric.card
    if card.channels != "any" or card.pooling == "downmix":
        raise Skip(f"channels: {card.channels}, pooling: {card.pooling}")
    ref = make("pink", metric, channels=channels)
    test = np.stack([added_noise(x[None], rate_of(metric), 0.1 * (i + 1), i)[0] for i, x in enumerate(ref)])
    result = compute(metric, ref, test, detail="map")
    alone = [compute(metric, ref[c : c + 1].copy(), test[c : c + 1].copy(), detail="map") for c in range(channels)]
    assert result.per_channel.tolist() == [r.value for r in alone]
    if card.pooling == "energy":
        return  # channels_that_are_alike_or_silent_change_nothing, a_broken_channel_shows
    of_all = result.per_channel
    pooled = np.sqrt(np.mean(of_all**2)) if card.pooling == "rms" else np.mean(of_all)
    assert close(result.value, float(pooled), rel=1e-12)
    if card.pooling in ("mean", "rms") and card.map != "none":
        maps = [array(r, "map") for r in alone]
        np.testing.assert_allclose(array(result, "map"), np.mean(maps, axis=0), rtol=1e-9, atol=1e-300)


@check()
def channels_that_are_alike_or_silent_change_nothing(metric: Metric) -> None:
    skip_who_adds_no_energies(metric)
    for ref, test in pairs(metric):
        one, silent = compute(metric, ref, test).value, np.zeros_like(ref)
        twice = compute(metric, np.concatenate([ref, ref]), np.concatenate([test, test])).value
        if not close(twice, one, rel=1e-8):  # an eps counts, and so the level: twice has the energy of 3 dB more
            louder = compute(metric, 2**0.5 * ref, 2**0.5 * test).value
            assert close(twice, louder, rel=1e-8), "the same channel twice"
        for order in (slice(None), slice(None, None, -1)):
            beside = (np.concatenate([x, silent][order]) for x in (ref, test))
            assert close(compute(metric, *beside).value, one, rel=1e-12), "beside a channel that is silent in both"


FAULTS: dict[str, Callable[..., Array]] = {
    "dead": lambda x, _: np.zeros_like(x),
    "inverted": lambda x, _: -x,
    "click": lambda x, rate: added_click(x, rate, 0.1),  # weaker than the sound, however short that is
    "noise": lambda x, rate: added_noise(x, rate, 0.3, 1),
}


@check(fault=[*FAULTS, "silent in the reference"])
def a_broken_channel_shows(metric: Metric, fault: str) -> None:
    """Beside a channel that is identical and as loud, it counts half of what it counts alone, and no less."""
    skip_who_adds_no_energies(metric)
    card, x = metric.card, make("pink", metric)
    loud = fault in FAULTS
    ref, test = (x, FAULTS[fault](x, rate_of(metric))) if loud else (np.zeros_like(x), x[:, ::-1])
    alone = compute(metric, ref, test)
    for order in (slice(None), slice(None, None, -1)):
        both = (np.concatenate([x, channel][order]) for channel in (ref, test))
        result = compute(metric, *both, detail="map")
        wanted = distortion(card, alone.value) if loud and alone.status != "undefined" else 1.0
        assert result.status == "undefined" or distortion(card, result.value) >= 0.49 * wanted


# Where and when


@check()
def detail_does_not_change_the_number(metric: Metric) -> None:
    for ref, test in pairs(metric):
        plain = compute(metric, ref, test)
        assert all(getattr(plain, field) is None for field in ARRAYS if field != "per_channel"), "nobody asked for it"
        for detail in ("profile", "map"):
            result = compute(metric, ref, test, detail=detail)
            assert close(result.value, plain.value, rel=1e-12), detail  # sums may take another order
            np.testing.assert_allclose(result.per_channel, plain.per_channel, rtol=1e-12)
            assert (result.map is None) == (detail == "profile" or metric.card.map == "none")


@check(band_edges=[None, "bins", (0.0, 500.0, 2000.0, 6000.0)])
def shapes_and_axes_agree(metric: Metric, band_edges: Any) -> None:
    ref, test = pairs(metric)[0]
    rate = rate_of(metric)
    edges_asked = np.array(band_edges) if isinstance(band_edges, tuple) else band_edges
    r = compute(metric, ref, test, detail="map", band_edges=edges_asked)
    if metric.card.map == "none":
        assert all(x is None for x in (r.per_band, r.bands, r.edges, r.map)), "its card says that it has no map"
        per_time, times = (array(r, field) for field in ("per_time", "times"))
        assert per_time.shape == times.shape
        assert np.isfinite(per_time).any()
        assert (np.diff(times) > 0).all()
        return
    per_band, per_time, bands, edges, times, local = (
        array(r, field) for field in ("per_band", "per_time", "bands", "edges", "times", "map")
    )
    assert per_band.shape == bands.shape
    assert edges.shape == (bands.size + 1,)
    assert per_time.shape == times.shape
    assert local.shape == (times.size, bands.size)
    assert (np.diff(edges) > 0).all()
    assert (edges[:-1] <= bands).all()
    assert (bands <= edges[1:]).all()
    assert edges[0] >= 0
    assert edges[-1] <= rate * (0.5 + 1e-3)
    assert (np.diff(times) > 0).all()
    assert times[0] >= 0
    assert times[-1] <= ref.shape[1] / rate + (float(np.max(np.diff(times))) if times.size > 1 else inf)
    assert not np.isinf(per_band).any()
    assert np.isfinite(per_time).any()
    if band_edges is None:
        assert 1 <= bands.size <= 40
    if isinstance(band_edges, tuple):
        assert edges.size == len(band_edges)
    if metric.card.profile == "share":
        heard = local.sum()  # less than all where the bands that were asked for leave something out
        assert close(np.nansum(per_band), heard, rel=1e-6)
        assert heard <= 1 + 1e-6
        assert close(np.nansum(per_time), 1, rel=1e-6)
        assert not (per_band < 0).any()
        assert not (per_time < 0).any()


MAP_TOTAL: dict[str, Callable[[float], float]] = {
    "sum": lambda v: v,
    "sqrt": lambda v: v**2,
    "db": lambda v: 10 ** (-v / 10),
    "level": lambda v: 10 ** (v / 10),
    "share": lambda _: 1.0,
}


@check()
def map_agrees_with_the_value(metric: Metric) -> None:
    if metric.card.map == "none":
        raise Skip("its card says that it has no map")
    for channels in (1, 2) if metric.card.pooling == "energy" else (1,):
        for ref, test in pairs(metric, channels):
            r = compute(metric, ref, test, detail="map")
            wanted = MAP_TOTAL[metric.card.map](r.value)
            assert close(float(array(r, "map").sum()), wanted, rel=1e-9)


@check()
def per_time_is_worst_at_an_added_click(metric: Metric) -> None:
    skip_who_judges_alone(metric)
    skip_who_compares_content(metric)
    if "added_click" in metric.card.insensitive_to:
        raise Skip("its card says that it does not hear clicks")
    rate = rate_of(metric)
    x = make("noise", metric, seconds=1.0)
    for part in (0.3, 0.65):
        time = part * x.shape[1] / rate
        strength = 0.1 if "added_click" in metric.card.loses_track else 1.0
        y = added_click(added_noise(x, rate, 0.05, 1), rate, strength, time=time)
        r = compute(metric, x, y, detail="profile")
        times = array(r, "times")
        tolerance = max(1.5 * float(np.max(np.diff(times))), 0.03) if times.size > 1 else inf
        assert abs(times[worst(metric, r.per_time)] - time) <= tolerance


@check()
def per_band_is_worst_at_an_added_tone(metric: Metric) -> None:
    skip_who_judges_alone(metric)
    if metric.card.map == "none":
        raise Skip("its card says that it has no bands")
    skip_who_compares_content(metric)
    if "added_tone" in metric.card.insensitive_to:
        raise Skip("its card says that it does not hear steady tones")
    if "added_tone" in metric.card.loses_track:
        raise Skip("its card says that it takes a steady tone for a filter, and evens it out")
    rate = rate_of(metric)
    x = make("noise", metric, seconds=1.0)
    for frequency in (700.0, 3000.0):
        y = added_tone(added_noise(x, rate, 0.05, 1), rate, 1.0, frequency=frequency)
        r = compute(metric, x, y, detail="profile")
        there = int(np.searchsorted(array(r, "edges"), frequency)) - 1
        assert abs(worst(metric, r.per_band) - there) <= 1, f"{array(r, 'bands')[worst(metric, r.per_band)]} Hz"


# Conduct


@check()
def same_bits_on_any_number_of_threads_and_inputs_unchanged(metric: Metric) -> None:
    rate = rate_of(metric)
    ref = make("pink", metric, seconds=4.0, channels=2)
    test = added_noise(ref, rate, 0.2, 1)
    before = ref.copy(), test.copy()
    for detail in ("value", "map"):
        first = compute(metric, ref, test, detail=detail)
        for threads in (1, 2, 8) if COMPILED else (2,):
            assert_same_bits(first, compute(metric, ref, test, detail=detail, threads=threads))
    assert np.array_equal(ref, before[0])
    assert np.array_equal(test, before[1])


@check(dtype=[np.float32, np.float64])
def padding_is_never_read(metric: Metric, dtype: type[np.floating[Any]]) -> None:
    """The samples lie inside a larger buffer of NaN; whoever reads beyond them gets NaN."""

    def embedded(x: Array) -> Any:
        buffer = np.full(x.size + 8192, np.nan, dtype)
        inside = buffer[4096:-4096].reshape(x.shape)
        inside[:] = x
        return inside

    ref, test = (x.astype(dtype) for x in pairs(metric, channels=2)[0])
    for detail in ("value", "map"):
        plain = compute(metric, ref, test, detail=detail)
        assert_same_bits(plain, compute(metric, embedded(ref), embedded(test), detail=detail))


@check()
def silence_has_a_documented_answer(metric: Metric) -> None:
    for seconds in (0.02, 0.5):
        sound, silent = make("pink", metric, seconds=seconds), make("silence", metric, seconds=seconds)
        half = sound.copy()
        half[:, : half.shape[1] // 2] = 0
        for ref, test in [
            (sound, silent),
            (silent, sound),
            (silent, silent),
            (half, sound),
            (sound, half),
            (half, half),
        ]:
            for detail in ("value", "map"):
                compute(metric, ref, test, detail=detail)
        both = compute(metric, np.concatenate([sound, silent]), np.concatenate([silent, silent]))
        assert both.per_channel.shape[0] >= 1 if metric.card.pooling == "downmix" else both.per_channel.shape == (2,)


@check()
def shortest_recording(metric: Metric) -> None:
    least = round(metric.card.shortest * rate_of(metric))
    if not least:
        raise Skip("it has a number, or a reason, at any length")
    ref, test = (np.ascontiguousarray(x[:, :least]) for x in pairs(metric)[0])
    assert compute(metric, ref, test).status == "ok"
    assert compute(metric, ref[:, :-1].copy(), test[:, :-1].copy()).status == "undefined"


@check(length=[1, 2, 3, 31, 500])
def short_input_has_a_documented_answer(metric: Metric, length: int) -> None:
    x = make("noise", metric)[:, :length].copy()
    y = added_noise(x, rate_of(metric), 0.3, 1)
    for test in (y, x, np.zeros_like(x)):
        for detail in ("value", "map"):
            compute(metric, x, test, detail=detail)
            compute(metric, x.astype(np.float32), test.astype(np.float32), detail=detail)


@check()
def lengths_may_differ_where_the_card_says(metric: Metric) -> None:
    if metric.card.lengths == "equal":
        raise Skip("it compares recordings of one length")
    ref, test = pairs(metric)[0]
    shorter = np.ascontiguousarray(test[:, : int(0.8 * test.shape[1])])
    assert compute(metric, ref, shorter).status == "ok"
    assert compute(metric, shorter, ref).status == "ok"


@check()
def every_choice_of_every_option_runs(metric: Metric) -> None:
    """But the defaults, which all other checks run."""
    ref = make("pink", metric, channels=2)
    test = added_noise(ref, rate_of(metric), 0.2, 1)
    beside = make("noise", metric, channels=2)
    others = [(beside, beside)] if metric.card.sources else []
    for option in metric.options.values():
        for choice in option.choices or ((False, True) if option.type is bool else ()):
            left = not COMPILED and option.name == "weighting" and choice in OTHER_CURVES
            if left or choice == option.default:
                continue
            chosen = {option.name: choice}
            try:
                result = compute(metric, ref, test, others=others, **chosen)
            except MissingExtra:  # a variant may need a package that is not installed
                continue
            short = "too short" in str(result.reason)  # an option may need more sound than the others
            empty = metric.card.content and result.status == "undefined"  # noise holds no notes
            assert result.status == "ok" or short or empty, (chosen, result.reason)
            compute(metric, ref, ref, detail="map", **chosen)


@check()
def an_option_level_is_the_playback_level(metric: Metric) -> None:
    if "level" not in metric.options:
        raise Skip("its level does not matter, or is that of the recording")
    assert "full-scale sine" in metric.options["level"].help
    ref, test = pairs(metric)[0]
    assert compute(metric, ref, test, level=60.0).value != compute(metric, ref, test, level=90.0).value


# What the checks above have in common


def close(value: float, wanted: float, rel: float, floor: float = 0.0) -> bool:
    """Whether they agree to a relative difference, or to an absolute one of `floor`."""
    return isclose(value, wanted, rel_tol=rel, abs_tol=floor) or abs(value - wanted) <= max(rel * abs(wanted), floor)


def rate_of(metric: Metric) -> int:
    return metric.card.rate or 48000


@cache
def _made(signal: str, rate: int, seconds: float, channels: int) -> Array:
    return SIGNALS[signal](rate, seconds, 11, channels)


def duration(metric: Metric, seconds: float) -> float:
    """Seconds of a recording that the metric takes and that this machine can afford."""
    card = metric.card
    return max(affordable(seconds), AMPLE * card.shortest * (PAUSES if card.pauses else 1))


def skip_who_judges_alone(metric: Metric) -> None:
    if metric.card.non_intrusive:
        raise Skip("it judges the test alone, to which no distance of these files belongs")


def skip_who_compares_content(metric: Metric) -> None:
    if metric.card.content:
        raise Skip("it compares what is played; worse sound may hold the same notes")


def skip_who_adds_no_energies(metric: Metric) -> None:
    if metric.card.pooling != "energy":
        raise Skip(f"its channels are pooled by {metric.card.pooling}")


def asymmetry(there: float, back: float) -> float:
    """By how much of the larger one the two differ."""
    return abs(there - back) / max(abs(there), abs(back), 1e-300)


def movements(
    value: Callable[[Array, Array], float], x: Array, rate: int, strength: float, names: Iterable[str]
) -> dict[str, float]:
    """How far each distortion of an already noisy x moves the value of ref and test; infinite where it has none."""
    noisy = added_noise(x, rate, 0.1, 1)
    before = value(x, noisy)
    moved = {d: abs(value(x, DISTORTIONS[d](noisy, rate, strength, 2)) - before) for d in names}
    return {d: m if isfinite(m) else inf for d, m in moved.items()}


def loudest(moved: Mapping[str, float]) -> float:
    """The largest of the movements that are finite; infinite where none is."""
    return max((m for m in moved.values() if isfinite(m)), default=inf)


def distortion(card: Card, value: float) -> float:
    """The value as a ratio of energies of what is wrong to what is right."""
    return float(10 ** (-value / 10)) if card.unit == "dB" else value


def make(signal: str, metric: Metric, *, seconds: float = 0.5, channels: int = 1) -> Array:
    return _made(signal, rate_of(metric), duration(metric, seconds), channels)


def pairs(metric: Metric, channels: int = 1, seconds: float = 0.5) -> list[tuple[Array, Array]]:
    """Pairs that differ in a loud, a quiet and a moderate way."""
    rate = rate_of(metric)
    steady, speech = (make(s, metric, seconds=seconds, channels=channels) for s in ("pink", "speech_like"))
    return [
        (steady, added_noise(steady, rate, 0.3, 1)),
        (speech, DISTORTIONS["gain"](added_noise(speech, rate, 0.01, 2), rate, 0.1)),
        (speech, DISTORTIONS["low_pass"](added_noise(speech, rate, 0.05, 3), rate, 0.5)),
    ]


@cache
def graded(signal: str, rate: int, distortion: str, strength: float, seed: int, seconds: float) -> tuple[Array, Array]:
    x = _source(signal, rate, seed, seconds)
    return x, DISTORTIONS[distortion](x, rate, strength, seed)


@cache
def _source(signal: str, rate: int, seed: int, seconds: float) -> Array:
    return SIGNALS[signal](rate, seconds, seed)


def badness(card: Card, result: Result) -> float:
    """The value, turned so that more is worse."""
    assert result.status != "undefined", result.reason
    return result.value if card.better == "lower" else -result.value


def worst(metric: Metric, profile: Any) -> int:
    """Where a profile is worst: its extreme in the bad direction, or the largest share of the error."""
    card = metric.card
    highest = card.profile == "share" or card.better == "lower"
    return int(np.nanargmax(profile) if highest else np.nanargmin(profile))


def array(result: Result, field: str) -> Any:
    value = getattr(result, field)
    assert isinstance(value, np.ndarray), f"{field} was asked for and is {value!r}"
    return value


def compute(
    metric: Metric,
    ref: Any,
    test: Any,
    *,
    detail: Any = "value",
    threads: int = 1,
    band_edges: Any = None,
    others: Any = (),
    **options: Any,
) -> Result:
    """The metric's answer, which must be a well-formed one and come without a warning, whatever the input."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metric.compute(
            ref,
            test,
            rate_of(metric),
            detail=detail,
            band_edges=band_edges,
            threads=threads,
            others=others,
            **options,
        )
    low, high = metric.card.range
    assert isinstance(result, Result)
    assert isinstance(result.value, float)
    assert isinstance(result.details, Mapping)
    assert all(isinstance(v, float) for v in result.details.values())
    assert result.per_channel.ndim == 1
    if result.status == "undefined":
        assert isnan(result.value)
    elif result.status == "infinite":
        assert isinf(result.value)
    else:
        assert result.status == "ok", result.reason
        assert isfinite(result.value)
    assert (result.reason is None) == (result.status == "ok")
    assert result.reason is None or result.reason.strip()
    given = result.unit, result.better
    assert given == metric.scale(metric.chosen(options)), "an option that changes them says so in Options.value_unit"
    if result.unit == metric.card.unit or not options:  # an option may ask for something else than the card says
        assert isnan(result.value) or low <= result.value <= high
    if result.map is not None and result.status != "undefined":
        assert np.isfinite(result.map).all()
        assert (result.map >= 0).all()
    return result


def assert_same_bits(a: Result, b: Result) -> None:
    assert (a.status, a.reason, repr(a.value), repr(a.details)) == (b.status, b.reason, repr(b.value), repr(b.details))
    for field in ARRAYS:
        x, y = getattr(a, field), getattr(b, field)
        assert (x is None) == (y is None), field
        assert x is None or np.array_equal(x, y, equal_nan=True), field
