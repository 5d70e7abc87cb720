"""Mel STFT loss: the STFT loss on magnitudes in mel bands. As auraloss.freq.MelSTFTLoss."""

from __future__ import annotations

from typing import Annotated, Any

from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..hearing.magnitudes import Distance, Floor, MelFilters, Window, stft_options
from ..hearing.stft_loss import STFTLoss
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Mel STFT loss",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="as stft, on Slaney mel bands of the magnitudes",
    source="auraloss 0.4.0 MelSTFTLoss; mel bands as librosa.filters.mel",
    conventions="As auraloss 0.4.0, with its clamp of the power at 1e-8 and its natural logarithm, but reduced per "
    "channel and never across a batch, and without its unused, unwrapped phase term. Other packages floor the "
    "magnitude at 1e-5 or 1e-7 (floor=1e-10, 1e-14), or use only the L1 terms (w_sc=0, w_lin=1). Mel bands too "
    "narrow to hold a bin add nothing; auraloss answers nan.",
    silence="Defined through the floor: large against a silent reference, 0 when both are silent.",
    caveat="Deaf to phase; a silent estimate gives a loss without gradient; a silent reference dominates any mean.",
    minimum="half a frame and one sample",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    bands: Annotated[int, "mel bands"] = 128,
    n_fft: Annotated[int, "samples of a frame"] = 1024,
    hop: Annotated[int, "samples between frames"] = 256,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    w_sc: Annotated[float, "weight of the spectral convergence"] = 1.0,
    w_log: Annotated[float, "weight of the log magnitude distance"] = 1.0,
    w_lin: Annotated[float, "weight of the linear magnitude distance"] = 0.0,
    distance: Distance = "l1",
    floor: Floor = 1e-8,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft = stft_options(n_fft, hop, win, window)
    loss = STFTLoss(w_sc, w_log, w_lin, distance, floor)
    mel = MelFilters.of(rate, n_fft, bands)
    return pool(
        [
            spectral(
                r,
                t,
                stft,
                loss.measure(r.samples.dtype, mel),
                loss.TERMS,
                loss.finish,
                loss.parts,
                view,
                frequencies=mel.centres,
            )
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text."""
    loss = STFTLoss(o.w_sc, o.w_log, o.w_lin, o.distance, o.floor)
    return loss.twin(stft_options(o.n_fft, o.hop, o.win, o.window), MelFilters.of(rate, o.n_fft, o.bands))
