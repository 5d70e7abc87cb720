"""Psychoacoustic model 1: the standard's tables, a plain version of its steps, and what is known of masking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import engine
from audiosim.errors import UsageError
from audiosim.models.masking.threshold import MaskingModel, bark, masked_error, masked_error_slope, threshold_in_quiet
from audiosim.testing.signals import COMPILED, Array, harmonic, noise, pink, speech_like

# ISO/IEC 11172-3:1993, tables D.1d to f and D.2d to f (layer II)
CRITICAL_BANDS = {
    44100: "1 2 3 5 7 10 13 16 19 22 26 30 35 40 46 54 64 76 90 104 124 148 176 216 264 360 464",
    48000: "1 2 3 5 7 9 12 14 17 20 24 27 32 37 42 50 58 70 82 100 116 136 164 200 248 328 432",
    32000: "1 3 6 10 13 17 21 25 30 35 41 47 54 64 74 88 104 124 148 176 208 248 296 368 480",
}
LINES = {44100: 130, 48000: 126, 32000: 132}
QUIET = [  # rate, line, Bark, dB
    *((44100, 1, 0.425, 45.05), (44100, 20, 7.581, 3.92), (44100, 78, 16.260, -4.98), (44100, 368, 24.070, 63.49)),
    *((44100, 376, 24.125, 68.0), (44100, 464, 24.574, 68.0), (48000, 2, 0.925, 24.17), (48000, 336, 24.054, 61.94)),
    *((32000, 4, 1.232, 19.20), (32000, 264, 21.445, 5.31), (32000, 480, 23.923, 51.04)),
]


@pytest.mark.parametrize(("rate", "line", "z", "quiet"), QUIET)
def test_formulas_are_the_tables_of_the_standard(rate: int, line: int, z: float, quiet: float) -> None:
    model = MaskingModel.of(rate, 96.0)
    assert model.stft.n_fft == 1024
    assert line in model.lines
    assert model.bark[line] == pytest.approx(z, abs=6e-4)
    assert 10 * np.log10(model.quiet[line]) == pytest.approx(quiet, abs=6e-3)


@pytest.mark.parametrize("rate", CRITICAL_BANDS)
def test_lines_and_critical_bands_are_about_those_of_the_standard(rate: int) -> None:
    """Its bands begin near whole Bark, and only in lines of its grid, which at 32 kHz ends at 15 kHz."""
    model = MaskingModel.of(rate, 96.0)
    table = np.array([int(line) for line in CRITICAL_BANDS[rate].split()])
    assert np.sum(model.lines <= table[-1]) == LINES[rate]
    inside = table[(bark(table * rate / 1024) >= 1) & (table < table[-1])]
    apart = np.array([np.abs(model.edges - line).min() for line in inside])
    assert apart[inside < 100].max() <= 1
    assert apart.max() <= 4


def test_threshold_in_quiet_is_the_published_one() -> None:
    """ISO 389-7 at 250 Hz, 1, 4 and 10 kHz."""
    found = threshold_in_quiet(np.array([250.0, 1000.0, 4000.0, 10000.0]))
    assert np.abs(found - [11.4, 2.4, -5.4, 13.9]).max() < 4
    assert found[1] == pytest.approx(3.37, abs=0.01)
    assert np.isfinite(threshold_in_quiet(np.array([0.0, 96000.0]))).all()


def plain(power: Array, rate: int) -> tuple[dict[int, float], dict[int, float], Array]:
    """Tonal and other maskers {line: dB} and the global threshold [line], dB, of one frame's intensities [line].

    The steps of annex D, section D.1, one masker and line after the other, in dB.
    """
    n = 2 * (power.size - 1)
    khz = np.arange(power.size) * rate / n / 1000
    z = 13 * np.arctan(0.76 * khz) + 3.5 * np.arctan((khz / 7.5) ** 2)
    with np.errstate(divide="ignore"):
        quiet = np.minimum(3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4, 68.0)
        x = 10 * np.log10(power)

    def total(levels: Any) -> float:
        with np.errstate(divide="ignore"):
            return float(10 * np.log10(np.sum(10 ** (np.array(levels) / 10))))

    tonal: dict[int, float] = {}
    examined: set[int] = set()
    for k in range(3, power.size):
        reach = 2 if k < 63 else 3 if k < 127 else 6 if k < 255 else 12
        if k + reach >= power.size or not x[k - 1] < x[k] >= x[k + 1]:
            continue
        if all(x[k] - x[k + side * j] >= 7 for j in range(2, reach + 1) for side in (-1, 1)):
            tonal[k] = total(x[k - 1 : k + 2])
            examined |= set(range(k - reach, k + reach + 1))
    other: dict[int, float] = {}
    for band in range(int(z[-1]) + 1):
        members = [k for k in range(1, power.size) if int(z[k]) == band]
        if members:
            middle = round(float(np.prod([k ** (1 / len(members)) for k in members])))
            other[middle] = total([x[k] for k in members if k not in examined])

    tonal, other = ({k: level for k, level in maskers.items() if level >= quiet[k]} for maskers in (tonal, other))
    kept: list[int] = []
    for k in sorted(tonal):
        if kept and z[k] - z[kept[-1]] < 0.5:
            kept[-1] = max(kept[-1], k, key=lambda place: (tonal[place], -place))
        else:
            kept.append(k)
    tonal = {k: tonal[k] for k in kept}

    def masked(level: float, at: float, index: float, line: float) -> float | None:
        dz = line - at
        if -3 <= dz < -1:
            return level + index + 17 * (dz + 1) - (0.4 * level + 6)
        if -1 <= dz < 0:
            return level + index + (0.4 * level + 6) * dz
        if 0 <= dz < 1:
            return level + index - 17 * dz
        if 1 <= dz < 8:
            return level + index - (dz - 1) * (17 - 0.15 * level) - 17
        return None

    top = min(power.size - 1, int(20250 * n / rate))
    lines = [k for k in range(1, top + 1) if k <= 48 or (k <= 96 and k % 2 == 0) or (k <= 192 and k % 4 == 0)]
    lines += [k for k in range(200, top + 1) if k % 8 == 0]
    found = {}
    for line in lines:
        parts = [quiet[line]]
        parts += [masked(level, z[k], -1.525 - 0.275 * z[k] - 4.5, z[line]) for k, level in tonal.items()]
        parts += [masked(level, z[k], -1.525 - 0.175 * z[k] - 0.5, z[line]) for k, level in other.items()]
        found[line] = total([part for part in parts if part is not None])
    return tonal, other, np.array([found[min(lines, key=lambda i: (abs(i - k), i))] for k in range(power.size)])


def frames(x: Array, rate: int, level: float = 96.0, count: int = 6) -> tuple[MaskingModel, Array, Array]:
    """The model, spectra and intensities [frame, bin] of frames in the middle of x [1, sample]."""
    model = MaskingModel.of(rate, level)
    n = model.stft.n_fft
    starts = np.linspace(0, x.shape[1] - n, count).astype(int)
    spectra = np.fft.rfft(np.stack([x[0, s : s + n] for s in starts]) * model.stft.window)
    full = np.abs(np.fft.rfft(np.cos(2 * np.pi * 32 * np.arange(n) / n) * model.stft.window)).max()
    return model, spectra, np.abs(spectra / full) ** 2 * 10 ** (level / 10)


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 44100, 48000, 96000] if COMPILED else [8000])
@pytest.mark.parametrize("signal", [pink, harmonic, speech_like])
def test_thresholds_are_those_of_the_plain_version(rate: int, signal: Any) -> None:
    model, spectra, power = frames(signal(rate, 0.3, 1), rate, count=6 if COMPILED else 1)
    weights, inverse = model.masks(spectra)
    for p, w, v in zip(power, weights, inverse, strict=True):
        _, _, expected = plain(p, rate)
        np.testing.assert_allclose(-10 * np.log10(v[1:]), expected[1:], rtol=0, atol=1e-8)
        np.testing.assert_allclose(w[1:], np.log10(p / 10 ** (expected / 10) + 1)[1:], rtol=1e-8, atol=1e-14)
        assert v[0] == w[0] == 0


def test_maskers_of_a_tone_in_noise() -> None:
    """The plain version itself: one tonal masker of the tone's level, and noise maskers in every critical band."""
    t = np.arange(4800) / 48000
    x = 10 ** (-26 / 20) * np.sin(2 * np.pi * 1031.25 * t)[None] + 0.1 * noise(48000, 0.1, 1)
    tonal, other, threshold = plain(frames(x, 48000, count=1)[2][0], 48000)
    assert tonal[22] == pytest.approx(70 + 10 * np.log10(1.5), abs=0.3)  # the window's three lines
    assert len(other) >= 20
    assert threshold[22] == pytest.approx(tonal[22] - 6.025 - 0.275 * 8.708, abs=0.3)


def test_a_tone_masks_in_its_critical_band_and_not_two_octaves_above() -> None:
    """A tone of 1 kHz and 70 dB SPL against noise of 20 dB SPL, a critical band wide."""
    rate = 48000
    x = 10 ** (-26 / 20) * np.sin(2 * np.pi * 1000 * np.arange(4800) / rate)[None]
    model, spectra, _ = frames(x, rate, count=1)
    threshold = -10 * np.log10(model.masks(spectra)[1][0, 1:])
    lines = np.arange(1, model.stft.bins) * rate / 1024

    def levels(low: float, high: float) -> tuple[float, float]:
        """Of a line of the noise between these frequencies, and the lowest threshold there."""
        inside = (lines >= low) & (lines < high)
        return float(20 - 10 * np.log10(inside.sum())), float(threshold[inside].min())

    line, masked = levels(920, 1080)
    assert masked > line + 20
    line, masked = levels(3700, 4400)
    assert masked < line


@pytest.mark.parametrize("gradient", [False, True])
def test_the_kernels_of_the_loss_are_their_formulas(gradient: bool) -> None:
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, 3, 8)) + 1j * rng.standard_normal((2, 3, 8))
    e *= 0.3
    x[0, 2] = x[1] = 0
    e[2, 3] = -x[2, 3]
    weights, inverse = rng.uniform(0, 1, (2, 3, 8))
    edges, noise_weight = np.array([0, 3, 8]), 0.7
    inverse *= 20
    inverse[2] = 0.1

    def value(error: Array) -> tuple[Array, Array]:
        excess = np.maximum(np.abs(error) ** 2 * inverse - 1, 0)
        only = np.where(excess == excess.max(axis=1, keepdims=True), excess, 0) * noise_weight
        return weights * (np.abs(x + error) - np.abs(x)) ** 2, only

    pairs = x.view(np.float64), e.copy().view(np.float64)
    if not gradient:
        out = np.empty((3, 2, 2))
        masked_error(*pairs, weights, noise_weight, inverse, edges, out)
        for term, cells in enumerate(value(e)):
            sums = np.stack([cells[:, :3].sum(axis=1), cells[:, 3:].sum(axis=1)], axis=1)
            np.testing.assert_allclose(out[..., term], sums, rtol=1e-12, atol=1e-15)
        assert not out[2, :, 1].any()
        return
    masked_error_slope(*pairs, weights, noise_weight, inverse)
    slope = pairs[1].view(np.complex128)
    for f in range(3):
        for k in range(8):
            if (f, k) == (2, 3):
                assert slope[f, k] == 0
                continue
            for step in (1e-6, 1e-6j):
                moved = [e.copy(), e.copy()]
                moved[0][f, k] += step
                moved[1][f, k] -= step
                a, b = (sum(part.sum() for part in value(m)) for m in moved)
                found = slope[f, k].real if step == 1e-6 else slope[f, k].imag
                assert found == pytest.approx((a - b) / 2e-6, rel=1e-5, abs=1e-7)


def test_the_operator_is_the_model() -> None:
    torch = pytest.importorskip("torch")
    from audiosim.models.masking.threshold import masks_torch

    x = pink(8000, 0.1, 1, 2)
    model = MaskingModel.of(8000, 90.0)
    found = masks_torch()(torch.tensor(x), 8000, 90.0)
    for samples, ours in zip(x, found.numpy(), strict=True):
        stream = engine.stream.plain(samples)
        spectra = engine.fold.cutter(stream, stream, model.stft, 20)(0, model.stft.count(samples.size))[0]
        np.testing.assert_allclose(ours, np.stack(model.masks(spectra)), rtol=1e-9)
    assert not found.requires_grad


def test_a_rate_that_is_too_low_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 4000 Hz"):
        MaskingModel.of(3000, 96.0)
