"""Log-mel distance: mean absolute difference of mel spectra in dB."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..hearing.magnitudes import Floor, MelFilters, Window, check_floor, power, power_distance
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Log-mel distance",
    family="conventional",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean |10 lg max(M(test), floor) - 10 lg max(M(ref), floor)|, M: power in mel bands",
    source="common practice; mel bands as Slaney 1998, spectra as librosa.feature.melspectrogram and power_to_db",
    conventions="librosa's defaults but for top_db, which hides differences 80 dB below the peak of each file: here"
    " none. Vocoder papers take the natural logarithm of magnitudes (1 there is 8.7 dB here) and floors"
    " of 1e-5.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="All bands and frames count alike, so near-silent ones can dominate; deaf to phase.",
    symmetric=True,
    triangle=True,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

DB = 4.342944819032518  # 10 / ln 10


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    bands: Annotated[int, "mel bands"] = 128,
    fmin: Annotated[float, "Hz, lower end of the lowest band"] = 0.0,
    fmax: Annotated[float, "Hz, upper end of the highest band, 0 for half the rate"] = 0.0,
    n_fft: Annotated[int, "samples of a frame"] = 2048,
    hop: Annotated[int, "samples between frames"] = 512,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    floor: Floor = 1e-10,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft, mel = _prepared(rate, bands, fmin, fmax, n_fft, hop, win, window, floor)
    project = mel.projector(np.result_type(ref, test))

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = project(power(spectra, 0.0))
        engine.divergence.log_absolute(m[0], m[1], floor, edges, out)

    return pool(
        [
            spectral(r, t, stft, measure, 1, _finish, _parts, view, frequencies=mel.centres)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..hearing.tensors import fused, mel_power

    stft, mel = _prepared(rate, o.bands, o.fmin, o.fmax, o.n_fft, o.hop, o.win, o.window, o.floor)
    bands = mel_power(stft, mel)

    def value(ref: Any, test: Any) -> Any:
        x, y = (bands(s).clamp(min=o.floor) for s in (ref, test))
        return DB * (y / x).log().abs().mean((1, 2))

    kernels = engine.divergence.log_absolute, engine.transposes.log_absolute
    return fused(value, power_distance(stft, mel, o.floor, DB / o.bands, *kernels, (o.floor,)))


def _prepared(
    rate: int, bands: int, fmin: float, fmax: float, n_fft: int, hop: int, win: int, window: str, floor: float
) -> tuple[STFT, MelFilters]:
    check_floor(floor)
    return STFT.of(n_fft, hop, window, win or n_fft, pad="zero"), MelFilters.of(rate, n_fft, bands, fmin, fmax)


def _finish(sums: Any, frames: Any, bins: Any) -> Any:
    return DB * sums[..., 0] / (frames * bins)


def _parts(sums: Any) -> Any:
    return DB * sums.map[:, :, 0] / (sums.frames * sums.bins)
