"""par: its plain formula, that it is a convex quadratic form of the error, its frames, loss by kernels and by torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.optimize

from audiosim import compare, metrics
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, Array, added_noise, affordable, noise, pink

SECONDS = affordable(0.7)


def plain(
    ref: Array, test: Array, rate: int, level: float = 92.0, frame: float = 0.032, filters: int = 64
) -> tuple[Array, Array]:
    """Frequencies [filter] and detectability [frame, filter] of one channel: the paper's equations, one frame and one
    filter after the other, in dB SPL and in units of its own."""
    half = scipy.fft.next_fast_len(round(frame * rate / 2), real=True)
    n = 2 * half
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    khz = np.arange(n // 2 + 1) * rate / n / 1000
    with np.errstate(divide="ignore"):
        quiet = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    ear = 10 ** (-quiet / 20)
    highest = 21.4 * np.log10(1 + 4.37 * rate / 2000)
    centres = (10 ** (np.linspace(0, highest, filters) / 21.4) - 1) / 4.37

    def energies(x: Array) -> Array:
        """In every filter, of a frame in units of 0 dB SPL."""
        spectrum = np.abs(np.fft.rfft(window * x)) * 10 ** (level / 20) * ear
        widths = 48 / (15 * np.pi) * 24.7e-3 * (1 + 4.37 * centres)
        shapes = [(1 + ((khz - c) / width) ** 2) ** -2 for c, width in zip(centres, widths, strict=True)]
        return np.array([np.sum((spectrum * shape) ** 2) for shape in shapes])

    def tone(spl: float) -> Array:
        return energies(10 ** ((spl - level) / 20) * np.cos(2 * np.pi * 1000 * np.arange(n) / rate))

    threshold, masker, probe = tone(3.64 - 6.5 * np.exp(-0.6 * 2.3**2) + 1e-3), tone(70.0), tone(52.0)

    def excess(log_scale: float) -> float:
        scale = np.exp(log_scale)
        return float(scale * np.sum(probe / (masker + scale * threshold.sum())) - 1)

    scale = np.exp(scipy.optimize.brentq(excess, -10, 20, xtol=1e-14))
    starts = range(0, ref.size - n + 1, half)
    pairs = [(energies(ref[s : s + n]), energies(test[s : s + n] - ref[s : s + n])) for s in starts]
    return 1000 * centres, np.array([scale * e / (r + scale * threshold.sum()) for r, e in pairs])


@pytest.mark.parametrize(
    ("rate", "options"),
    [(48000, {}), (44100, {"level": 70.0}), (8000, {"frame": 0.02, "bands": 33}), (16000, {"frame": 0.0401})],
)
def test_value_profile_and_map_are_their_plain_formulas(rate: int, options: dict[str, Any]) -> None:
    ref = pink(rate, SECONDS, 1)
    test = 0.98 * added_noise(ref, rate, 0.01, 2)
    named = {{"bands": "filters"}.get(name, name): value for name, value in options.items()}
    centres, cells = plain(ref[0], test[0], rate, **named)
    r = metrics.get("par").compute(ref, test, rate, detail="map", band_edges="bins", **options)
    assert r.value == pytest.approx(cells.sum(axis=1).mean(), rel=1e-9)
    assert r.details["detectable_frames"] == np.mean(cells.sum(axis=1) > 1)
    np.testing.assert_allclose(r.bands, centres, rtol=1e-9)
    np.testing.assert_allclose(r.per_band, cells.mean(axis=0), rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(r.per_time, cells.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(r.map, cells / len(cells), rtol=1e-9, atol=1e-20)


def value(ref: Array, test: Array, rate: int = 16000) -> float:
    return float(metrics.get("par").compute(ref, test, rate).value)


def test_it_is_a_quadratic_form_of_the_error_and_convex() -> None:
    ref, a, b = pink(16000, SECONDS, 1), noise(16000, SECONDS, 2), 0.1 * noise(16000, SECONDS, 3)
    one = value(ref, ref + a)
    assert value(ref, ref + 3 * a) == pytest.approx(9 * one, rel=1e-9)
    assert value(ref, ref - a) == pytest.approx(one, rel=1e-9)
    both = value(ref, ref + a + b) + value(ref, ref + a - b)
    assert both == pytest.approx(2 * one + 2 * value(ref, ref + b), rel=1e-9), "the parallelogram law"


def test_phase_counts() -> None:
    ref = pink(16000, SECONDS, 1)
    assert value(ref, -ref) == pytest.approx(4 * value(ref, 0 * ref), rel=1e-9)


def test_too_short_is_said() -> None:
    x = noise(48000, 0.031, 1)
    r = compare(x, x, "par", 48000)["par"]
    assert r.status == "undefined"
    assert "1536 samples" in (r.reason or "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"level": 20.0}, "level must be 40 to 140"),
        ({"frame": 1.0}, "frame must be 0.01 to 0.2"),
        ({"bands": 2}, "bands must be 16 to 256"),
    ],
)
def test_impossible_options_are_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    x = noise(16000, 0.1, 1)
    with pytest.raises(UsageError, match=f"par: {says}") as error:
        metrics.get("par").compute(x, x, 16000, **options)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_and_torch_agree(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.engine import tensors
    from audiosim.loss import Loss

    ref, x = (torch.tensor(y, dtype=getattr(torch, dtype)) for y in (pink(16000, 0.5, 1, 2), noise(16000, 0.5, 2, 2)))
    found = []
    for serves in (True, False):
        if not serves:
            monkeypatch.setattr(tensors, "in_memory", lambda *_: False)
        test = (ref + 0.1 * x).requires_grad_()
        values = Loss("par", 16000, "none")(test, ref)
        values.sum().backward()
        found.append((values.detach(), test.grad))
    tolerance = {"float64": 1e-12, "float32": 1e-4}[dtype]
    for ours, other in zip(*found, strict=True):
        assert torch.linalg.norm(ours - other) <= tolerance * torch.linalg.norm(other)
