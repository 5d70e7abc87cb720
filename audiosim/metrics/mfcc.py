"""Mel-frequency cepstral distance: Euclidean distance of the first coefficients of the log-mel spectra, averaged over
frames. Davis and Mermelstein 1980; as librosa.feature.mfcc."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp, engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing.magnitudes import Floor, MelFilters, Window, check_floor, power, power_distance
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Mel-frequency cepstral distance",
    family="cepstral",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean over frames of |C(test) - C(ref)|, C: orthonormal DCT-II of the log-mel spectrum in dB, c0 to c19",
    source="Davis and Mermelstein 1980; features as librosa.feature.mfcc with top_db=None",
    conventions="As librosa's coefficients but for top_db. convention=db-rms drops c0 (level) and divides by the "
    "root of the number of bands: the rms in dB of the smoothed log-mel difference. HTK's mel, its "
    "liftering and natural logarithms give other numbers; mel-cepstral distortion of vocoders is "
    "another measure.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="Level (c0) weighs most unless convention=db-rms; near-silent frames count as much as loud ones.",
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
    convention: Annotated[
        Literal["euclidean", "db-rms"], "c0 and plain distance, or rms in dB without c0"
    ] = "euclidean",
    coefficients: Annotated[int, "how many, from c0 on"] = 20,
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
    basis, scale = _basis(convention, coefficients, bands)

    def root(sums: Any, n: Any) -> Any:
        return np.stack([scale * np.sqrt(sums[..., 0]), sums[..., 0]], axis=-1)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = project(power(spectra, 0.0))
        engine.divergence.cepstral(m[0], m[1], floor, basis, edges, out)

    return pool(
        [
            spectral(r, t, stft, measure, 2, _finish, _parts, view, frequencies=mel.centres, per_frame=root)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import Constant, root
    from ..hearing.tensors import fused, mel_power

    stft, mel = _prepared(rate, o.bands, o.fmin, o.fmax, o.n_fft, o.hop, o.win, o.window, o.floor)
    rows, scale = _basis(o.convention, o.coefficients, o.bands)
    bands, basis = mel_power(stft, mel), Constant(scale * rows.T)

    def value(ref: Any, test: Any) -> Any:
        x, y = (bands(s).clamp(min=o.floor) for s in (ref, test))
        return root(((y / x).log() @ basis(x)).square().sum(2)).mean(1)

    kernels = engine.divergence.cepstral, engine.transposes.cepstral
    return fused(value, power_distance(stft, mel, o.floor, scale, *kernels, (o.floor, rows), root=True))


def _prepared(
    rate: int, bands: int, fmin: float, fmax: float, n_fft: int, hop: int, win: int, window: str, floor: float
) -> tuple[STFT, MelFilters]:
    check_floor(floor)
    return STFT.of(n_fft, hop, window, win or n_fft, pad="zero"), MelFilters.of(rate, n_fft, bands, fmin, fmax)


def _basis(convention: str, coefficients: int, bands: int) -> tuple[Any, float]:
    """Rows of the cosine transform, and what the distance in them is multiplied by."""
    first = 1 if convention == "db-rms" else 0
    if not first < coefficients <= bands:
        raise UsageError(f"mfcc: coefficients must be {first + 1} to the {bands} bands, not {coefficients}")
    return dsp.cepstrum.dct(bands)[first:coefficients], DB / float(np.sqrt(bands)) if first else DB


def _finish(sums: Any, frames: Any, bins: Any) -> Any:
    return sums[..., 0] / frames


def _parts(sums: Any) -> Any:
    root, squares = sums.by_frame.T
    share = np.divide(root, squares, out=np.zeros_like(root), where=squares > 0)
    return sums.map[:, :, 1] * share[:, None] / sums.frames
