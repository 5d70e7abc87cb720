"""pemo-q: the numbers of PEASS, the formulas of another program, its gradient, its edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.metrics import pemo_q
from audiosim.models import pemo
from audiosim.testing.signals import COMPILED, Array, added_noise, affordable, low_pass, noise, silence, speech_like

compute = metrics.get("pemo-q").compute
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
RATE = 16000


def beating(rate: int) -> tuple[Array, Array]:
    """A tone complex that beats and stops for a while; the test beats faster too, and has a tone more."""
    t = np.arange(int(0.6 * rate)) / rate
    x: Array = np.zeros(t.size)
    for k in range(1, 30):
        if 220 * k < 0.45 * rate:
            x += np.sin(2 * np.pi * 220 * k * t + k * k) / k
    x *= 0.03 * (1 + 0.8 * np.sin(2 * np.pi * 7 * t)) * ((t < 0.25) | (t > 0.4))
    y = x * (1 + 0.2 * np.sin(2 * np.pi * 40 * t)) + 0.002 * np.sin(2 * np.pi * 2500 * t)
    return x[None], y[None]


@compiled
@pytest.mark.parametrize(
    ("rate", "modulation", "psmt"),
    [
        (16000, "bank", 0.935222864628743),
        (16000, "lowpass", 0.96577179728218),
        (44100, "bank", 0.943110062344477),
        (44100, "lowpass", 0.966550956552497),
    ],
)
def test_numbers_of_peass(rate: int, modulation: str, psmt: float) -> None:
    """PEASS 2.0.1 as sevagh/Music-Separation-TF at 1e21d38 holds it, its MATLAB files (no MEX), in Octave 7.3:
    pemo_metric(pemo_internal(x, rate, 'fb'), pemo_internal(y, rate, 'fb'), 800), with 'lp' and 100 for the low-pass.

    Its loops are in single precision. Octave's own resample has a longer filter than MATLAB's, for which it was
    written: it was replaced by MATLAB's default as documented, ten samples on either side in a Kaiser window of 5.
    """
    r = compute(*beating(rate), rate, variant="peass", level=120, output="psmt", modulation=modulation)
    assert r.value == pytest.approx(psmt, abs=5e-6)


def test_psm_of_representations_is_that_of_openqual() -> None:
    """OpenQual's back_assim, back_xcorrrm and back_sqsum, as its objquality combines them, in Octave 7.3: psm."""
    n, b, m = np.arange(40)[:, None, None], np.arange(33), np.arange(1, 9)[:, None]
    x = 30 + 20 * np.sin(0.3 * n + 0.2 * b * m)
    y = 28 + 22 * np.sin(0.31 * n + 0.2 * b * m + 0.1)
    y = np.abs(pemo_q.assimilated(x, y, 0.5))  # both are positive, where its assimilation is the same
    whole = pemo_q.moments(x[None], y[None], (1, 3))
    assert pemo_q.similarity(whole)[0] == pytest.approx(0.975673611454943, rel=1e-12)
    parts = [pemo_q.moments(x[None, k : k + 8], y[None, k : k + 8], (1, 3)) for k in range(0, 40, 8)]
    frames = pemo_q.Moments(*(np.concatenate(z) for z in zip(*parts, strict=True)))
    assert pemo_q.similarity(pemo_q.merged(frames)) == pytest.approx(0.975673611454943, rel=1e-12)


@pytest.mark.parametrize(
    ("psmt", "odg"), [(1.0, 0.0), (0.9, -1.64), (0.864, -2.2304), (0.8, -0.22 / -0.18 - 4.13), (0.3, -3.8064705882)]
)
def test_mapping(psmt: float, odg: float) -> None:
    """The constants of three public programs, OpenQual's objquality.m among them."""
    assert float(pemo_q.grade(np.array(psmt))) == pytest.approx(odg, abs=1e-9)


def test_mapping_is_bounded() -> None:
    assert float(pemo_q.grade(np.array(-1.0))) == -4


def test_weighted_quantile() -> None:
    values, weights = np.array([0.9, 0.1, 0.5, 0.7]), np.array([1.0, 1.0, 5.0, 93.0])
    assert [pemo_q.least(values, weights, part) for part in (0.005, 0.05, 0.07, 0.999)] == [1, 2, 3, 0]


def test_activity_is_the_mean_over_the_window() -> None:
    energy = np.arange(40.0)
    found = pemo_q.activity(energy, 8, 16)
    assert found == pytest.approx([energy[max(0, 4 + 8 * k - 8) : 4 + 8 * k + 8].mean() for k in range(5)])


def test_identical_recordings_are_as_similar_as_can_be() -> None:
    x = speech_like(RATE, affordable(1.0), 1)
    r = compute(x, x, RATE, detail="map")
    assert r.value == 1.0
    assert r.details == {"psm": 1.0, "psmt": 1.0, "odg": 0.0}
    assert np.all(r.per_time == 1)
    assert np.all(r.per_band == 1)


@compiled
def test_outputs_and_profiles() -> None:
    x = speech_like(RATE, 1.0, 1)
    results = {
        o: compute(x, added_noise(x, RATE, 0.3, 1), RATE, output=o, detail="map") for o in ("psm", "psmt", "odg")
    }
    for name, r in results.items():
        assert r.value == r.details[name]
        assert r.unit == ("ODG" if name == "odg" else "1")
    r = results["psm"]
    assert len(r.times) == 100
    assert np.diff(r.times) == pytest.approx(0.01)
    assert r.per_time.min() <= r.details["psmt"] <= r.per_time.max()
    assert r.map.sum() == pytest.approx(1)
    assert -4 <= r.details["odg"] < 0
    bins = compute(x, added_noise(x, RATE, 0.3, 1), RATE, detail="profile", band_edges="bins")
    assert bins.per_band.mean() == pytest.approx(r.value)


@compiled
def test_more_noise_is_less_similar() -> None:
    x = speech_like(RATE, 1.0, 2)
    for output in ("psm", "psmt", "odg"):
        values = [compute(x, added_noise(x, RATE, s, 1), RATE, output=output).value for s in (0.0, 0.01, 0.1, 0.5)]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]


@compiled
def test_what_is_missing_counts_less_than_what_is_added() -> None:
    """Assimilation: exchange the two, and the low-passed recording is the one that the other adds to."""
    x = noise(RATE, 1.0, 3)
    y = low_pass(x, RATE, 0.5)
    assert compute(x, y, RATE).value > compute(y, x, RATE).value + 0.01


@pytest.mark.parametrize(("ref", "test"), [("noise", "silence"), ("silence", "noise"), ("noise", "faint")])
def test_silence_has_no_value(ref: str, test: str) -> None:
    length = affordable(0.5)
    sounds = {"noise": noise(RATE, length), "silence": silence(RATE, length), "faint": 1e-5 * noise(RATE, length)}
    r = compute(sounds[ref], sounds[test], RATE)
    assert np.isnan(r.value)
    assert "threshold" in str(r.reason)


def test_level_is_that_of_a_full_scale_sine() -> None:
    """20 dB more of the option are 20 dB more of the recordings."""
    x = speech_like(RATE, affordable(0.5), 4)
    y = added_noise(x, RATE, 0.2, 1)
    loud, scaled = compute(x, y, RATE, level=120.0), compute(10 * x, 10 * y, RATE)
    assert loud.value == pytest.approx(scaled.value, rel=1e-9)
    assert loud.value != compute(x, y, RATE).value


def test_low_rates_leave_no_band() -> None:
    r = compute(noise(300, 1.0), noise(300, 1.0, 1), 300)
    assert "no band" in str(r.reason)


@pytest.mark.parametrize("options", ["", ":output=psmt", ":output=odg", ":modulation=lowpass", ":variant=peass"])
def test_gradient(options: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x = speech_like(RATE, affordable(0.5), 5)
    y = added_noise(x, RATE, 0.5, 1)
    loss = Loss(f"pemo-q{options}", RATE)
    ref, test = (torch.tensor(z) for z in (x, y))
    test.requires_grad_()
    value = loss(test, ref)
    value.backward()
    given: dict[str, Any] = dict([options[1:].split("=")]) if options else {}
    assert -float(value.detach()) == pytest.approx(compute(x, y, RATE, **given).value, rel=1e-9)
    direction = torch.randn(test.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slope = float((test.grad * direction).sum())
    with torch.no_grad():  # with one of the steps, no hair cell opens or closes between the two

        def off(step: float) -> float:
            up, down = (loss(test + s * direction, ref) for s in (step, -step))
            return abs(float(up - down) / (2 * step) / slope - 1)

        assert any(off(step) < 1e-4 for step in (1e-7, 1e-8, 1e-6))


def test_the_gradient_of_the_target_is_there_too() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x = torch.tensor(noise(8000, affordable(0.3)))
    ref = x.clone().requires_grad_()
    Loss("pemo-q", 8000)(0.5 * x + 0.01, ref).backward()
    assert torch.isfinite(ref.grad).all()
    assert ref.grad.abs().sum() > 0


def test_bank_has_the_published_centres() -> None:
    """Dau et al. 1997: 5 Hz wide up to 10 Hz, above it a quality factor of 2, spaced by 5/3."""
    bank = pemo.MODULATIONS["bank"]
    assert len(bank.centres) == 8
    assert bank.centres[-1] == pytest.approx(128.6, abs=0.01)
    assert np.array(bank.centres[2:]) / bank.widths[2:] == pytest.approx(2)
