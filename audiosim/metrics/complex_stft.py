"""Compressed complex STFT distance: complex spectra and magnitudes, both with magnitudes raised to a power. Ephrat et
al. 2018 (arXiv 1804.03619) and Braun and Tashev 2020 (arXiv 2009.12286, eq. 4)."""

from __future__ import annotations

from typing import Annotated, Any

from .. import engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing.magnitudes import Distance, Window, check_floor, stft_options
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Compressed complex STFT distance",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="(1 - a) mean |d| ^2 of |X|^c e^(j arg X) + a mean d^2 of |X|^c",
    source="Ephrat et al. 2018, arXiv 1804.03619; Braun and Tashev 2020, arXiv 2009.12286, eq. 4",
    conventions="The weight of the magnitude term is 0.7, as in enhancement papers; theirs differ in c (0.3 here, also "
    "0.5 and 1/3) and in the frames. c=1,a=0 is the plain complex STFT distance, distance=l1 its mean "
    "modulus.",
    silence="Defined: the compressed energy of whichever signal is not silent, 0 when both are.",
    caveat="Through the phase as sensitive to delay and polarity as a waveform measure.",
    minimum="half a frame and one sample",
    symmetric=True,
    triangle=False,
    gradient="exact",
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    c: Annotated[float, "power of the magnitudes, above 0 to 1"] = 0.3,
    a: Annotated[float, "weight of the magnitude term, 0 to 1"] = 0.7,
    distance: Distance = "l2",
    n_fft: Annotated[int, "samples of a frame"] = 1024,
    hop: Annotated[int, "samples between frames"] = 256,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    floor: Annotated[float, "added to the power before compression"] = 1e-12,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft = _frames(n_fft, hop, win, window, c, a, floor)
    term = 1 if distance == "l2" else 0

    def mix(sums: Any) -> Any:
        return (1 - a) * sums[..., term] + a * sums[..., term + 2]

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        z = spectra.view(spectra.real.dtype)
        engine.divergence.compressed(z[0], z[1], c, floor, edges, out)

    return pool(
        [
            spectral(
                r,
                t,
                stft,
                measure,
                4,
                lambda s, frames, bins: mix(s) / (frames * bins),
                lambda s: mix(s.map) / (s.frames * s.bins),
                view,
            )
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import power, root, spectra
    from ..hearing.tensors import fused

    stft = _frames(o.n_fft, o.hop, o.win, o.window, o.c, o.a, o.floor)
    transform = spectra(stft)

    def value(ref: Any, test: Any) -> Any:
        x, y = transform(ref), transform(test)
        p, q = power(x, 0.0), power(y, 0.0)
        g, h = ((energy + o.floor) ** ((o.c - 1) / 2) for energy in (p, q))
        squares = power(y * h - x * g, 0.0)
        magnitude = root(q) * h - root(p) * g
        if o.distance == "l2":
            parts = (1 - o.a) * squares + o.a * magnitude.square()
        else:
            parts = (1 - o.a) * root(squares) + o.a * magnitude.abs()
        return parts.mean((1, 2))

    def measure(dtype: Any, gradient: bool) -> Any:
        def measure(spectra: Any, edges: Any, out: Any) -> None:
            r, t = spectra.view(dtype)
            engine.divergence.compressed(r, t, o.c, o.floor, edges, out)
            if gradient:
                engine.transposes.compressed(r, t, o.c, o.floor, 1 - o.a, o.a, o.distance == "l2")

        return measure

    def finish(sums: Any, frames: int) -> Any:
        scale, term = 1 / (frames * stft.bins), 1 if o.distance == "l2" else 0
        return scale * ((1 - o.a) * sums[term] + o.a * sums[term + 2]), [scale]

    return fused(value, engine.transposes.Objective(stft, stft.bins, 4, 1, measure, finish))


def _frames(n_fft: int, hop: int, win: int, window: str, c: float, a: float, floor: float) -> STFT:
    check_floor(floor)
    if not (0 < c <= 1 and 0 <= a <= 1):
        raise UsageError(f"complex-stft needs c above 0 to 1 and a within 0 and 1, not c={c:g}, a={a:g}")
    return stft_options(n_fft, hop, win, window)
