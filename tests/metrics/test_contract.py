"""What every metric must keep. It holds for every file in audiosim/metrics, so a new metric needs no line here.

Each card is taken at its word: what it claims is tested, what it excepts (`blind`, `slack`, `symmetric=False`) too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from math import inf, isfinite, isinf, isnan
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from audiosim import metrics
from audiosim.card import Card
from audiosim.errors import MissingExtra
from audiosim.result import Result
from tests.signals import COMPILED, DISTORTIONS, SIGNALS, Array, added_click, added_noise, added_tone, affordable

NAMES = metrics.names()
AMPLE = 1.3  # times the shortest recording that a metric takes: some to cut from
PAUSES = 2.5  # times as much where silence does not count
ARRAYS = ("per_channel", "per_band", "per_time", "bands", "edges", "times", "map")

pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def in_reasonable_time(request: pytest.FixtureRequest) -> None:
    """Uncompiled, tests/hearing holds the kernels of metrics that need long recordings to their formulas."""
    name = request.getfixturevalue("name")
    if not COMPILED and card_of(name).shortest > 0.2:
        pytest.skip("the shortest recording that it takes is too long for uncompiled kernels")


# The card


def test_card_is_complete(name: str) -> None:
    card = card_of(name)
    assert isinstance(card, Card)
    for field, kind in get_type_hints(Card).items():
        value = getattr(card, field)
        if kind is str and field not in ("cap", "surrogate", "holds"):  # most metrics need none of them
            assert value.strip(), f"{field} is empty"
        if choices := [c for c in get_args(kind) if isinstance(c, str)]:
            assert value in choices, field
    assert card.range[0] < card.range[1]
    assert card.slack >= 0
    assert {*card.blind, *card.loses_track} <= set(DISTORTIONS), "they name distortions of tests/signals.py"
    assert card.rate is None or card.rate > 0
    if card.identical is not None:
        assert card.range[0] <= card.identical <= card.range[1]
    assert bool(card.surrogate) == (card.gradient == "surrogate")
    if card.triangle:
        assert card.symmetric, "who claims the triangle inequality claims a distance"


def test_catalogue_tells_metrics_apart(name: str) -> None:
    assert [n for n in NAMES if card_of(n).title == card_of(name).title] == [name]
    assert (metrics.get(name).__doc__ or "").strip()


def test_signature(name: str) -> None:
    import inspect

    parameters = inspect.signature(metrics.get(name).compute).parameters
    assert list(parameters)[:3] == ["ref", "test", "rate"]
    assert set(metrics.RESERVED) <= set(parameters)
    for parameter in list(parameters.values())[3:]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty
    for option in metrics.options(name).values():
        assert option.help.strip(), f"option {option.name} needs a line of help: Annotated[type, 'help']"
        if option.choices:
            assert option.default in option.choices


# The number


@pytest.mark.parametrize("signal", ["noise", "harmonic", "speech_like", "clicks", "chord_music"])
def test_identical_files_give_exactly_what_the_card_says(name: str, signal: str) -> None:
    x, card = make(signal, name, channels=2), card_of(name)
    for samples in (x, x.astype(np.float32)):
        result = compute(name, samples, samples.copy(), detail="map")
        if card.identical is not None:
            assert result.value == card.identical
            assert result.status == ("infinite" if isinf(card.identical) else "ok"), result.reason
            assert (result.per_channel == card.identical).all()


@pytest.mark.parametrize("signal", ["pink", "speech_like"])
def test_nothing_degraded_scores_better_than_an_identical_file(name: str, signal: str) -> None:
    skip_who_judges_alone(name)
    x, card = make(signal, name), card_of(name)
    best = badness(card, compute(name, x, x))
    for distortion, distorted in DISTORTIONS.items():
        for strength in (0.1, 1.0) if COMPILED else (0.3,):
            result = compute(name, x, distorted(x, rate_of(name), strength, 1))
            if result.status != "undefined":
                assert badness(card, result) >= best - card.slack, (distortion, strength, result.value)


@pytest.mark.parametrize("distortion", ["noise", "low_pass", "clipping"])
@pytest.mark.parametrize("signal", ["noise", "speech_like"] if COMPILED else ["noise"])
def test_worse_sound_scores_worse(name: str, distortion: str, signal: str) -> None:
    """In steps of 10 dB, and in the median of three files: a mean of power ratios hangs on its luckless bins. Who
    saturates is asked up to there, from the identical file on."""
    skip_who_judges_alone(name)
    card = card_of(name)
    if distortion in card.blind:
        pytest.skip("its card says that it does not hear this; see test_blind")
    scores = []
    for strength in (0.03, 0.1, 0.3, 1.0):
        seconds = duration(name, max(0.5, card.settles))
        files = [graded(signal, rate_of(name), distortion, strength, seed, seconds) for seed in (1, 2, 3)]
        scores.append(float(np.median([badness(card, compute(name, *pair)) for pair in files])))
    if card.identical is not None:
        scores.insert(0, card.identical if card.better == "lower" else -card.identical)
    if card.saturates is not None:
        end = card.saturates if card.better == "lower" else -card.saturates
        scores = [min(s, end) for s in (badness(card, compute(name, files[0][0], files[0][0])), *scores)]
    gone = scores[-1] - next(s for s in scores if isfinite(s))
    assert gone > 0, scores
    for milder, stronger in pairwise(scores):
        assert stronger >= milder - 0.05 * gone, scores


def test_blind_to_what_the_card_says(name: str) -> None:
    """On an already noisy file, the distortion moves the value by at most a thousandth of what the others do."""
    card, rate = card_of(name), rate_of(name)
    if not card.blind:
        pytest.skip("its card names nothing that it does not hear")
    x = make("pink", name, seconds=1.0)
    noisy = added_noise(x, rate, 0.1, 1)
    before = compute(name, x, noisy).value
    heard = [compute(name, x, f(noisy, rate, 1.0, 2)).value for d, f in DISTORTIONS.items() if d not in card.blind]
    scale = max((abs(v - before) for v in heard if isfinite(v)), default=inf)
    assert scale > 0, "it hears nothing at all"
    for distortion in card.blind:
        for strength in (0.3, 1.0):
            after = compute(name, x, DISTORTIONS[distortion](noisy, rate, strength, 2)).value
            assert abs(after - before) <= 1e-3 * scale, (distortion, strength, before, after)


def test_symmetry_is_as_the_card_says(name: str) -> None:
    differences = []
    for ref, test in pairs(name, seconds=1.0):  # several frames of any metric, also uncompiled
        there, back = compute(name, ref, test).value, compute(name, test, ref).value
        differences.append(abs(there - back) / max(abs(there), abs(back), 1e-300))
    if card_of(name).symmetric:
        assert max(differences) <= 1e-9
    else:
        assert max(differences) > 1e-6, "no pair shows an asymmetry: say symmetric=True"


def test_triangle_inequality_where_claimed(name: str) -> None:
    if not card_of(name).triangle:
        pytest.skip("its card does not claim it")
    rate, x = rate_of(name), make("pink", name)
    on_a_line = [x, added_noise(x, rate, 0.1, 1), added_noise(x, rate, 0.2, 1)]  # where a squared distance fails
    files = [*on_a_line, *(y for pair in pairs(name) for y in pair)]
    for a, b, c in zip(files, files[1:], files[2:], strict=False):
        way = compute(name, a, b).value + compute(name, b, c).value
        assert compute(name, a, c).value <= way * (1 + 1e-9)


def test_float32_and_float64_are_close(name: str) -> None:
    for ref, test in pairs(name)[:2]:  # not the low-passed one: its stop band lies below what float32 resolves
        single = ref.astype(np.float32), test.astype(np.float32)
        value = compute(name, *single).value
        exact = compute(name, *(x.astype(np.float64) for x in single)).value
        assert value == pytest.approx(exact, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("channels", [2, 7])
def test_channels_are_measured_one_by_one(name: str, channels: int) -> None:
    card = card_of(name)
    if card.channels != "any" or card.pooling == "downmix":
        pytest.skip(f"channels: {card.channels}, pooling: {card.pooling}")
    ref = make("pink", name, channels=channels)
    test = np.stack([added_noise(x[None], rate_of(name), 0.1 * (i + 1), i)[0] for i, x in enumerate(ref)])
    result = compute(name, ref, test, detail="map")
    alone = [compute(name, ref[c : c + 1].copy(), test[c : c + 1].copy(), detail="map") for c in range(channels)]
    assert result.per_channel.tolist() == [r.value for r in alone]
    pooled = {"min": np.min, "rms": lambda x: np.sqrt(np.mean(x**2))}.get(card.pooling, np.mean)(result.per_channel)
    assert result.value == pytest.approx(float(pooled), rel=1e-12, abs=0)
    if card.pooling in ("mean", "rms"):
        maps = [array(r, "map") for r in alone]
        np.testing.assert_allclose(array(result, "map"), np.mean(maps, axis=0), rtol=1e-9, atol=1e-300)


# Where and when


def test_detail_does_not_change_the_number(name: str) -> None:
    for ref, test in pairs(name):
        plain = compute(name, ref, test)
        assert all(getattr(plain, field) is None for field in ARRAYS if field != "per_channel"), "nobody asked for it"
        for detail in ("profile", "map"):
            result = compute(name, ref, test, detail=detail)
            assert result.value == pytest.approx(plain.value, rel=1e-12, abs=0), detail  # sums may take another order
            np.testing.assert_allclose(result.per_channel, plain.per_channel, rtol=1e-12)
            assert (result.map is None) == (detail == "profile")


@pytest.mark.parametrize("band_edges", [None, "bins", (0.0, 500.0, 2000.0, 6000.0)])
def test_shapes_and_axes_agree(name: str, band_edges: Any) -> None:
    ref, test = pairs(name)[0]
    rate = rate_of(name)
    edges_asked = np.array(band_edges) if isinstance(band_edges, tuple) else band_edges
    r = compute(name, ref, test, detail="map", band_edges=edges_asked)
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
    if card_of(name).profile == "share":
        heard = local.sum()  # less than all where the bands that were asked for leave something out
        assert np.nansum(per_band) == pytest.approx(heard, rel=1e-6)
        assert heard <= 1 + 1e-6
        assert np.nansum(per_time) == pytest.approx(1, rel=1e-6)
        assert not (per_band < 0).any()
        assert not (per_time < 0).any()


MAP_TOTAL: dict[str, Callable[[float], float]] = {
    "sum": lambda v: v,
    "sqrt": lambda v: v**2,
    "db": lambda v: 10 ** (-v / 10),
    "level": lambda v: 10 ** (v / 10),
    "share": lambda _: 1.0,
}


def test_map_agrees_with_the_value(name: str) -> None:
    for ref, test in pairs(name):
        r = compute(name, ref, test, detail="map")
        wanted = MAP_TOTAL[card_of(name).map](r.value)
        assert float(array(r, "map").sum()) == pytest.approx(wanted, rel=1e-9, abs=0)


def test_per_time_is_worst_at_an_added_click(name: str) -> None:
    skip_who_judges_alone(name)
    if "added_click" in card_of(name).blind:
        pytest.skip("its card says that it does not hear clicks")
    rate = rate_of(name)
    x = make("noise", name, seconds=1.0)
    for part in (0.3, 0.65):
        time = part * x.shape[1] / rate
        strength = 0.1 if "added_click" in card_of(name).loses_track else 1.0
        y = added_click(added_noise(x, rate, 0.05, 1), rate, strength, time=time)
        r = compute(name, x, y, detail="profile")
        times = array(r, "times")
        tolerance = max(1.5 * float(np.max(np.diff(times))), 0.03) if times.size > 1 else inf
        assert abs(times[worst(name, r.per_time)] - time) <= tolerance


def test_per_band_is_worst_at_an_added_tone(name: str) -> None:
    skip_who_judges_alone(name)
    if "added_tone" in card_of(name).blind:
        pytest.skip("its card says that it does not hear steady tones")
    if "added_tone" in card_of(name).loses_track:
        pytest.skip("its card says that it takes a steady tone for a filter, and evens it out")
    rate = rate_of(name)
    x = make("noise", name, seconds=1.0)
    for frequency in (700.0, 3000.0):
        y = added_tone(added_noise(x, rate, 0.05, 1), rate, 1.0, frequency=frequency)
        r = compute(name, x, y, detail="profile")
        there = int(np.searchsorted(array(r, "edges"), frequency)) - 1
        assert abs(worst(name, r.per_band) - there) <= 1, f"{array(r, 'bands')[worst(name, r.per_band)]} Hz"


# Conduct


def test_same_bits_on_any_number_of_threads_and_inputs_unchanged(name: str) -> None:
    rate = rate_of(name)
    ref = make("pink", name, seconds=4.0, channels=2)
    test = added_noise(ref, rate, 0.2, 1)
    before = ref.copy(), test.copy()
    for detail in ("value", "map"):
        first = compute(name, ref, test, detail=detail)
        for jobs in (1, 2, 8) if COMPILED else (2,):
            assert_same_bits(first, compute(name, ref, test, detail=detail, jobs=jobs))
    assert np.array_equal(ref, before[0])
    assert np.array_equal(test, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_padding_is_never_read(name: str, dtype: type[np.floating[Any]]) -> None:
    """The samples lie inside a larger buffer of NaN; whoever reads beyond them gets NaN."""

    def embedded(x: Array) -> Any:
        buffer = np.full(x.size + 8192, np.nan, dtype)
        inside = buffer[4096:-4096].reshape(x.shape)
        inside[:] = x
        return inside

    ref, test = (x.astype(dtype) for x in pairs(name, channels=2)[0])
    for detail in ("value", "map"):
        plain = compute(name, ref, test, detail=detail)
        assert_same_bits(plain, compute(name, embedded(ref), embedded(test), detail=detail))


def test_silence_has_a_documented_answer(name: str) -> None:
    for seconds in (0.02, 0.5):
        sound, silent = make("pink", name, seconds=seconds), make("silence", name, seconds=seconds)
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
                compute(name, ref, test, detail=detail)
        both = compute(name, np.concatenate([sound, silent]), np.concatenate([silent, silent]))
        assert both.per_channel.shape[0] >= 1 if card_of(name).pooling == "downmix" else both.per_channel.shape == (2,)


def test_shortest_recording(name: str) -> None:
    least = round(card_of(name).shortest * rate_of(name))
    if not least:
        pytest.skip("it has a number, or a reason, at any length")
    ref, test = (np.ascontiguousarray(x[:, :least]) for x in pairs(name)[0])
    assert compute(name, ref, test).status == "ok"
    assert compute(name, ref[:, :-1].copy(), test[:, :-1].copy()).status == "undefined"


@pytest.mark.parametrize("length", [1, 2, 3, 31, 500])
def test_short_input_has_a_documented_answer(name: str, length: int) -> None:
    x = make("noise", name)[:, :length].copy()
    y = added_noise(x, rate_of(name), 0.3, 1)
    for test in (y, x, np.zeros_like(x)):
        for detail in ("value", "map"):
            compute(name, x, test, detail=detail)
            compute(name, x.astype(np.float32), test.astype(np.float32), detail=detail)


def test_lengths_may_differ_where_the_card_says(name: str) -> None:
    if card_of(name).lengths == "equal":
        pytest.skip("it compares recordings of one length")
    ref, test = pairs(name)[0]
    shorter = np.ascontiguousarray(test[:, : int(0.8 * test.shape[1])])
    assert compute(name, ref, shorter).status == "ok"
    assert compute(name, shorter, ref).status == "ok"


def test_every_choice_of_every_option_runs(name: str) -> None:
    ref = make("pink", name, channels=2)
    test = added_noise(ref, rate_of(name), 0.2, 1)
    for option in metrics.options(name).values():
        for choice in option.choices or ((False, True) if option.type is bool else ()):
            chosen = metrics.parse(f"{name}:{option.name}={choice}").options
            try:
                result = compute(name, ref, test, **chosen)
            except MissingExtra:  # a variant may need a package that is not installed
                continue
            assert result.status == "ok", (chosen, result.reason)
            compute(name, ref, ref, detail="map", **chosen)


def test_an_option_level_is_the_playback_level(name: str) -> None:
    if "level" not in metrics.options(name):
        pytest.skip("its level does not matter, or is that of the recording")
    assert "full-scale sine" in metrics.options(name)["level"].help
    ref, test = pairs(name)[0]
    assert compute(name, ref, test, level=60.0).value != compute(name, ref, test, level=90.0).value


# What the tests above have in common


def card_of(name: str) -> Card:
    return metrics.get(name).CARD


def rate_of(name: str) -> int:
    return card_of(name).rate or 48000


@cache
def _made(signal: str, rate: int, seconds: float, channels: int) -> Array:
    return SIGNALS[signal](rate, seconds, 11, channels)


def duration(name: str, seconds: float) -> float:
    """Seconds of a recording that the metric takes and that this machine can afford."""
    card = card_of(name)
    return max(affordable(seconds), AMPLE * card.shortest * (PAUSES if card.pauses else 1))


def skip_who_judges_alone(name: str) -> None:
    if card_of(name).alone:
        pytest.skip("it judges the test alone, to which no distance of these files belongs")


def make(signal: str, name: str, *, seconds: float = 0.5, channels: int = 1) -> Array:
    return _made(signal, rate_of(name), duration(name, seconds), channels)


def pairs(name: str, channels: int = 1, seconds: float = 0.5) -> list[tuple[Array, Array]]:
    """Pairs that differ in a loud, a quiet and a moderate way."""
    rate = rate_of(name)
    steady, speech = (make(s, name, seconds=seconds, channels=channels) for s in ("pink", "speech_like"))
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


def worst(name: str, profile: Any) -> int:
    """Where a profile is worst: its extreme in the bad direction, or the largest share of the error."""
    card = card_of(name)
    highest = card.profile == "share" or card.better == "lower"
    return int(np.nanargmax(profile) if highest else np.nanargmin(profile))


def array(result: Result, field: str) -> Any:
    value = getattr(result, field)
    assert isinstance(value, np.ndarray), f"{field} was asked for and is {value!r}"
    return value


def compute(
    name: str, ref: Any, test: Any, *, detail: str = "value", jobs: int = 1, band_edges: Any = None, **options: Any
) -> Result:
    """The metric's answer, which must be a well-formed one and come without a warning, whatever the input."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.get(name).compute(
            ref, test, rate_of(name), detail=detail, band_edges=band_edges, jobs=jobs, **options
        )
    low, high = card_of(name).range
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
    if result.unit is None:  # an option may ask for something else than the card says
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
