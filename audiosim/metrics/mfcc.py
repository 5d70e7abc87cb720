"""Mel-frequency cepstral distance: Euclidean distance of the first coefficients of the log-mel spectra, averaged over
frames. Davis and Mermelstein 1980; as librosa.feature.mfcc.

The first coefficient, c0, is the level. Other filters give LFCC (triangles of equal width, which hear the treble as
finely as the bass), BFCC (critical bands, Hermansky 1990, J. Acoust. Soc. Am. 87, 1738), GFCC (gammatone filters, Shao,
Jin, Wang and Srinivasan 2009, ICASSP) and HFCC (triangles as wide as the ear's filters, Skowronski and Harris 2004, J.
Acoust. Soc. Am. 116, 1774). The mel-cepstral distortion that vocoder papers report is another measure: mcd.

Slopes in time (deltas) are HTK's: Young et al., The HTK Book 3.4, section 5.9. align=all-pairs is half the energy
distance of Szekely and Rizzo 2013 (J. Stat. Plan. Inference 143, 1249), whatever the order of the frames; the mean
distance of all pairs by itself, which is not 0 for equal recordings, is the detail mean_distance. Its time grows with
the square of the length.

All is computed in float64, of float32 samples too; losses of cepstra alone stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .. import dsp, engine, models
from ..answer import Channel, Pair
from ..card import Card
from ..distance import BinKernels, PowerDistance
from ..engine.decibels import NEPER
from ..errors import UsageError
from ..hearing.magnitudes import Floor, MelFilters, MelSpectral, Scale
from ..models.cepstra import BandCepstra, Compared
from ..options import AT_LEAST_ONE
from ..result import Twin

CARD = Card(
    title="Mel-frequency cepstral distance",
    family="cepstral",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean over frames of |C(test) - C(ref)|, C: orthonormal DCT-II of the log-mel spectrum in dB, c0 to c19",
    source="Davis and Mermelstein 1980; features as librosa.feature.mfcc with top_db=None",
    conventions="The coefficients are librosa's, but without its top_db. convention=db-rms drops c0 and divides by the "
    "root of the number of bands: the rms in dB of the smoothed log-mel difference. HTK's mel scale, its liftering "
    "and natural logarithms give other values. cepstra=bark is spafe's BFCC but for its cube root, which divides all "
    "distances by 3, and its grid of bins. cepstra=gammatone has the logarithm of the power that the filters pass, as "
    "Essentia's GFCC; spafe's multiplies power by gains of amplitude, and has a cube root and no logarithm.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="Level (c0) weighs most unless convention=db-rms; near-silent frames count as much as loud ones.",
    version=2,
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(MelSpectral, Compared):
    convention: Annotated[Literal["euclidean", "db-rms"], "c0 and plain distance, or rms in dB without c0"] = (
        "euclidean"
    )
    cepstra: Annotated[
        Scale,
        "filters: mel (MFCC), linear (LFCC: triangles of equal width), bark (BFCC: masks of critical bands), gammatone "
        "(GFCC), human-factor (HFCC: triangles as wide as the ear's filters)",
    ] = "mel"
    coefficients: Annotated[int, AT_LEAST_ONE, "how many, from c0 on"] = 20
    floor: Floor = 1e-10

    @property
    def first(self) -> int:
        """The lowest coefficient that counts."""
        return 1 if self.convention == "db-rms" else 0

    @property
    def basis(self) -> Any:
        """Of the coefficients that count, [coefficient, band]."""
        return dsp.cepstrum.dct(self.bands)[self.first : self.coefficients]

    @property
    def scale(self) -> float:
        """Of the distance of cepstra of natural logarithms."""
        return NEPER / self.bands**0.5 if self.first else NEPER

    @property
    def frame_by_frame(self) -> bool:
        return self.align == "none" and not self.deltas

    def check(self) -> None:
        super().check()
        if not self.first < self.coefficients <= self.bands:
            raise UsageError(
                f"coefficients must be {self.first + 1} to the {self.bands} bands, not {self.coefficients}"
            )


def measure(pair: Pair, o: Options) -> Channel:
    if o.frame_by_frame:
        return distance(pair.rate, o).measure(pair)
    return models.cepstra.measure(pair, analysis(pair.rate, o), o)


def twin(rate: int, o: Options) -> Twin:
    return distance(rate, o).twin() if o.frame_by_frame else models.cepstra.twin(analysis(rate, o), o)


def distance(rate: int, o: Options) -> PowerDistance:
    """Of cepstra alone, at equal times: none are held."""

    def squares(ref: Any, test: Any, floor: float, basis: Any) -> Any:
        return engine.tensors.product((test.clamp(min=floor) / ref.clamp(min=floor)).log(), basis.T).square()

    kernels = BinKernels(engine.divergence.cepstral, engine.transposes.cepstral, squares)
    mel, basis = filters(rate, o), o.basis
    return PowerDistance(o.stft("zero"), kernels, (o.floor, basis), scale=o.scale, mel=mel, mean=False, root=True)


def analysis(rate: int, o: Options) -> BandCepstra:
    return BandCepstra(rate, o.stft("zero"), filters(rate, o), o.basis, o.scale, o.floor)


def filters(rate: int, o: Options) -> MelFilters:
    return MelFilters.of(rate, o.n_fft, o.bands, o.fmin, o.fmax, o.cepstra)
