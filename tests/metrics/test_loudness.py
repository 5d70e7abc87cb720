"""loudness: what the value, its parts and its surrogate are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.errors import UsageError
from audiosim.judge.explain import explain
from audiosim.models import zwicker as zwicker
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, Array, added_noise, affordable, pink, silence, sine

RATE = 48000


def answer(ref: Array, test: Array, spec: str = "loudness", **options: Any) -> Any:
    return compare(ref, test, spec, RATE, **options)[spec]


def pair(seconds: float = 0.3, channels: int = 1) -> tuple[Array, Array]:
    x = pink(RATE, affordable(seconds), 3, channels)
    return x, 0.5 * added_noise(x, RATE, 0.1, 2)


def test_value_details_profile_and_map_are_what_was_heard() -> None:
    ref, test = pair()
    r, t = (zwicker.Listener().hear(x[0]) for x in (ref, test))
    result = answer(ref, test, detail="map", band_edges="bins")
    five = [float(np.percentile(n, 95)) for n, _ in (r, t)]
    assert result.value == pytest.approx(five[0] - five[1], rel=1e-12)
    difference, louder = t[1] - r[1], t[0] - r[0]
    expected = {
        **{"N5_ref": five[0], "N5_test": five[1], "N5_difference": five[1] - five[0]},
        **{"Nmax_ref": r[0].max(), "Nmax_test": t[0].max(), "Nmax_difference": t[0].max() - r[0].max()},
        **{"loudness_level_ref": zwicker.phon(five[0]), "loudness_level_test": zwicker.phon(five[1])},
        "loudness_level_difference": zwicker.phon(five[1]) - zwicker.phon(five[0]),
        "specific_difference": np.abs(difference).sum(axis=1).mean() / 10,
    }
    assert result.details == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(result.per_band, np.abs(difference).mean(axis=0), rtol=1e-9)
    steps = np.arange(0, len(louder), 10)
    np.testing.assert_allclose(result.per_time[0], np.abs(louder[:10]).mean(), rtol=1e-9)
    np.testing.assert_allclose(result.times, 0.01 + 0.02 * np.arange(steps.size), rtol=1e-9)
    share = np.add.reduceat(np.abs(difference), steps) / np.abs(difference).sum()
    np.testing.assert_allclose(result.map, share, rtol=1e-9, atol=1e-15)
    added = np.add.reduceat(np.maximum(difference, 0), steps) / np.abs(difference).sum()
    np.testing.assert_allclose(result.added, added, rtol=1e-9, atol=1e-15)


def test_stationary() -> None:
    ref, test = pair()
    (a, x), (b, y) = (zwicker.stationary(s[0], 90.0, "diffuse") for s in (ref, test))
    result = answer(ref, test, "loudness:method=stationary,level=90,field=diffuse", detail="map", band_edges="bins")
    assert result.value == pytest.approx(a - b, rel=1e-12)
    assert result.details["N_difference"] == pytest.approx(b - a, rel=1e-12)
    assert result.details["loudness_level_ref"] == pytest.approx(zwicker.phon(a))
    assert result.per_time.tolist() == [result.value]
    np.testing.assert_allclose(result.per_band, np.abs(y - x), rtol=1e-9)


@pytest.mark.skipif(not COMPILED, reason="a second of sound")
def test_ten_phon_are_twice_as_loud() -> None:
    """And a sine of 1 kHz has as many phon as dB."""
    x = sine(RATE, 1.5)
    x *= 1 / np.abs(x).max()
    for level in (60.0, 80.0):
        found = answer(x, 10**-0.5 * x, f"loudness:level={level}")
        assert found.details["loudness_level_ref"] == pytest.approx(level, abs=1.0)
        assert found.details["N5_ref"] == pytest.approx(2 * found.details["N5_test"], rel=0.05)
        assert found.value == pytest.approx(found.details["N5_test"], rel=0.1)


def test_silence_has_no_loudness() -> None:
    x, nothing = pair()[0], silence(RATE, affordable(0.3))
    for method in ("time-varying", "stationary"):
        spec = f"loudness:method={method}"
        assert answer(nothing, nothing, spec).value == 0
        assert answer(x, nothing, spec).value == answer(nothing, x, spec).value > 0.1
        assert answer(nothing, nothing, spec).details["loudness_level_ref"] == 3


def test_each_recording_is_measured_as_long_as_it_is() -> None:
    x, y = pair()
    half = np.ascontiguousarray(y[:, : y.shape[1] // 2])
    result = metrics.get("loudness").compute(x, half, RATE, detail="map")
    assert result.details["N5_ref"] == answer(x, x).details["N5_ref"]
    assert result.details["N5_test"] == answer(half, half).details["N5_test"]
    assert result.times[-1] <= half.shape[1] / RATE + 0.02
    assert metrics.get("loudness").compute(x, y[:, :1].copy(), RATE).status == "ok"


def test_any_number_of_channels() -> None:
    x = pink(RATE, affordable(0.1), 1, 6)
    y = x.copy()
    y[3] *= 2
    result = answer(x, y, jobs=2)
    assert np.flatnonzero(result.per_channel).tolist() == [3]
    assert result.value == pytest.approx(result.per_channel[3] / 6)


@pytest.mark.skipif(not COMPILED, reason="two seconds of sound")
def test_explain_finds_what_was_added() -> None:
    x = pink(RATE, 2.0, 1)
    y = x.copy()
    part = slice(int(0.6 * x.shape[1]), int(0.7 * x.shape[1]))
    y[:, part] += 0.1 * np.sin(2 * np.pi * 3000 * np.arange(x.shape[1]) / RATE)[part]
    found = explain(*(Signal(s, RATE) for s in (x, y)), "loudness")
    assert found.sentence.startswith("added energy (100 %")
    assert found.regions[0].low < 3000 < found.regions[0].high
    assert found.regions[0].start == pytest.approx(1.2, abs=0.1)
    assert found.regions[0].end == pytest.approx(1.4, abs=0.2)


@pytest.mark.parametrize("options", ["level=-1", "level=150", "field=near", "method=mean"])
def test_impossible_options_are_refused(options: str) -> None:
    x, y = pair(0.1)
    with pytest.raises(UsageError) as error:
        answer(x, y, f"loudness:{options}")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not COMPILED, reason="seconds of sound")
@pytest.mark.parametrize("field", ["free", "diffuse"])
def test_surrogate_is_the_core_loudness_of_steady_sounds(field: str) -> None:
    """Where neither decay nor the edges of ranges count: that of the standard within a few percent."""
    torch = pytest.importorskip("torch")
    x = pink(RATE, 2.0, 4)[0]
    tables = zwicker.Tables.of(field)
    ear = zwicker._ThirdOctaves(94.0, smooth=False)
    core = tables.core(ear.hear(x))[0] * np.diff(tables.edges[:-1], prepend=0.0)
    for whole in (True, False):
        surrogate = zwicker.core_torch(94.0, field, whole)(torch.tensor(x)[None])[0].numpy()
        assert surrogate.mean(axis=0)[4:] == pytest.approx(core[4:], rel=0.1)
        assert surrogate.mean(axis=0).sum() == pytest.approx(core.sum(), rel=0.05)
