"""SRMR: the original's numbers, its plain formula, its edges."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from audiosim import compare, load, metrics
from audiosim.engine.stream import plain
from audiosim.models import srmr
from audiosim.testing.signals import COMPILED, Array, added_noise, clipping, low_pass, noise, reverb, speech_like

RATE = 16000
compute = metrics.get("srmr").compute
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


@compiled
@pytest.mark.parametrize(
    ("damage", "ratio", "normalised"),
    [
        ("clean", 2.363633090641904, 2.5927807258698734),
        ("noise", 1.920139810496261, 1.990257421334814),
        ("reverb", 2.790727367455001, 1.9828263504544628),
        ("clipping", 5.147210318591414, 3.5092046269921604),
        ("low_pass", 17.285440419379917, 6.671748164936213),
    ],
)
def test_numbers_of_the_original(damage: str, ratio: float, normalised: float) -> None:
    """SRMRpy at fee0097, srmr(test, 16000, fast=False, norm=...)."""
    x = speech_like(RATE, 3.0, 5)
    y = {
        "clean": x,
        "noise": added_noise(x, RATE, 0.5, 1),
        "reverb": reverb(x, RATE, 1.0, 1),
        "clipping": clipping(x, RATE, 0.9),
        "low_pass": low_pass(x, RATE, 0.6),
    }[damage]
    assert compute(x, y, RATE).value == pytest.approx(ratio, rel=5e-4)
    assert compute(x, y, RATE, norm=True).value == pytest.approx(normalised, rel=5e-4)
    assert compute(x, y, RATE).details["reference"] == pytest.approx(2.363633090641904, rel=5e-4)


@compiled
def test_recorded_numbers(shared: Path) -> None:
    """pysepm's copy of SRMRpy; oracles/speech.json names the call."""
    count = 0
    for pair in json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values():
        if "pysepm.srmr(deg)" in pair["metrics"]:
            test = load(shared / "audio" / "speech" / pair["deg"]).samples
            for norm, name in ((False, "srmr"), (True, "srmr_norm")):
                value = compute(test, test, RATE, norm=norm).value
                assert value == pytest.approx(pair["metrics"][f"pysepm.{name}(deg)"], abs=1e-3)
            count += 1
    assert count >= 6


@compiled
def test_plain_formula() -> None:
    """Filters at the full rate, Hilbert's envelope of all of it; longer than a block."""
    x = noise(RATE, 2.5, 1)[0] * (1 + np.sin(2 * np.pi * 7 * np.arange(40000) / RATE))
    bank = srmr.filters()
    numerators, denominators = srmr.resonators(1)
    window = np.hamming(4097)[:-1]
    energies = srmr.energies(plain(x))
    for c in (0, 5, 11, *range(16, 23)):
        y = bank.gain[c] * x
        for zero in bank.zeros[c]:
            y = scipy.signal.lfilter([1, zero], [1, *bank.poles[c]], y)
        envelope = np.abs(scipy.signal.hilbert(np.pad(y, (0, 8192))))[: x.size]
        for k in range(srmr.MODULATIONS):
            z = scipy.signal.lfilter(numerators[:, k], [1, *denominators[:, k]], envelope)
            expected = [np.sum((window * z[i : i + 4096]) ** 2) for i in range(0, x.size - 4095, 1024)]
            assert energies[c, :, k].sum() == pytest.approx(np.sum(expected), rel=1e-3), (c, k)
            np.testing.assert_allclose(energies[c, :, k], expected, rtol=0.01)


def test_kernel_of_modulations() -> None:
    """Uncompiled too: SciPy's filters and whole frames."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal(48)
    b, a = srmr.resonators(1)
    squares = rng.uniform(0, 1, 16)
    out, state = np.zeros((3, 9, srmr.MODULATIONS)), np.zeros((2, srmr.MODULATIONS))
    for start in (0, 24):  # in two parts
        srmr._modulate(x[start : start + 24], start // 4, 4, b, a, squares, state, out[0])
    for k in range(srmr.MODULATIONS):
        y = scipy.signal.lfilter(b[:, k], [1, *a[:, k]], x) ** 2
        np.testing.assert_allclose(out[0, :, k], [np.sum(squares * y[4 * f : 4 * f + 16]) for f in range(9)], rtol=1e-9)


def test_a_modulation_filter_at_a_lower_rate_is_the_same() -> None:
    hz = np.array([1.0, 4.0, 20.0, 128.0, 300.0])
    high = _response(*srmr.resonators(1), hz, RATE)
    for down in (4, 2):
        np.testing.assert_allclose(_response(*srmr.resonators(down), hz, RATE / down), high, rtol=2e-4)


def _response(b: Array, a: Array, hz: Array, rate: float) -> Array:
    z = np.exp(-2j * np.pi * np.outer(hz / rate, np.arange(3)))
    return np.abs((z @ b) / (1 + z[:, 1:] @ a))


@compiled
def test_it_judges_the_test_alone() -> None:
    x = speech_like(RATE, 1.5, 3)
    y = reverb(x, RATE, 1.0, 1)
    value = compare(x, y, "srmr", RATE)["srmr"]
    alone = compare(y, y, "srmr", RATE)["srmr"]
    assert value.value == alone.value == value.details["test"]
    assert value.details["difference"] == value.value - value.details["reference"]
    silent = compute(np.zeros((1, 100)), y, RATE)
    assert silent.value == value.value
    assert set(silent.details) == {"test"}


@compiled
def test_profiles_and_what_has_no_number() -> None:
    x = speech_like(RATE, 1.5, 4, 2)
    result = compute(x, x, RATE, detail="map")
    assert result.per_band is not None
    assert result.bands is not None
    assert result.bands.shape == result.per_band.shape == (srmr.BANDS,)
    silent = np.zeros_like(x)
    assert compute(x, silent, RATE).reason == "the test is silent"
    assert isnan(compute(x, silent, RATE).value)
    half = compute(x, np.stack([x[0], silent[0]]), RATE, detail="map")
    assert half.reason == "channel 2: the test is silent"
    assert half.per_channel[0] > 0
    assert "too short" in (compute(x, x[:, :4095], RATE).reason or "")
