"""Log-spectral distance: rms over bins of the difference in dB, averaged over frames. Gray and Markel 1976, eq. 3 with
p = 2."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..hearing.magnitudes import Floor, Window, check_floor, power, power_distance
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Log-spectral distance",
    family="conventional",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean over frames of sqrt(mean over bins of (10 lg P(ref) - 10 lg P(test))^2)",
    source="Gray and Markel 1976; 2048/512 as super-resolution papers use it",
    conventions="Some codes take lg of the power without the factor 10 (a tenth of this value), other frames "
    "(n_fft=512, hop=256), or no floor; frames here are zero-padded and centred, with centre=false they"
    " start at the first sample.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="Dominated by nearly silent bins and frames, so by dither, codecs' low-pass and the floor.",
    minimum="one sample; a frame when centre=false",
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
    n_fft: Annotated[int, "samples of a frame"] = 2048,
    hop: Annotated[int, "samples between frames"] = 512,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    centre: Annotated[bool, "frame t is centred on sample t hop"] = True,
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
    stft = _frames(n_fft, hop, win, window, centre, floor)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        p = power(spectra, floor)
        engine.divergence.log_squares(p[0], p[1], floor, edges, out)
        out[:, :, 1] = out[:, :, 0]  # kept as squares, to share the root out among bands

    return pool(
        [
            spectral(r, t, stft, measure, 2, _finish, _parts, view, per_frame=_root)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import power, root, spectra
    from ..hearing.tensors import fused

    stft = _frames(o.n_fft, o.hop, o.win, o.window, o.centre, o.floor)
    transform = spectra(stft)

    def value(ref: Any, test: Any) -> Any:
        x, y = (power(transform(s), o.floor) for s in (ref, test))
        return DB * root((y / x).log().square().mean(2)).mean(1)

    kernels = engine.divergence.log_squares, engine.transposes.log_squares
    return fused(value, power_distance(stft, None, o.floor, DB / stft.bins**0.5, *kernels, (o.floor,), root=True))


def _frames(n_fft: int, hop: int, win: int, window: str, centre: bool, floor: float) -> STFT:
    check_floor(floor)
    return STFT.of(n_fft, hop, window, win or n_fft, centre, "zero")


def _root(sums: Any, bins: Any) -> Any:
    root = DB * np.sqrt(sums[..., 0] / bins)
    return np.stack([root, sums[..., 1]], axis=-1)


def _finish(sums: Any, frames: Any, bins: Any) -> Any:
    return sums[..., 0] / frames


def _parts(sums: Any) -> Any:
    root, squares = sums.by_frame.T
    share = np.divide(root, squares, out=np.zeros_like(root), where=squares > 0)
    return sums.map[:, :, 1] * share[:, None] / sums.frames
