"""Tversky distance: loudness that was added or is missing, against what is common. Tversky 1977, Psychological Review
84(4), the ratio model, on fuzzy features as Santini and Jain 1999, IEEE TPAMI 21(9).

The features are the specific loudness a of the test and b of the reference, in half-ERB bands and frames of 93 ms. What
exceeds the other counts quadratically up to a just noticeable difference and linearly beyond it, so that identity has
no slope whatever the weights: added A = mean p^2 / (p + tau), missing M = mean q^2 / (q + tau), common C = mean
min(a, b), with p = max(a - b, 0), q = max(b - a, 0) and tau = 0.053 b + 0.02 (one dB is 5.3 % of loudness). The means
are over frames and bands. The constants of form=log are thus in the unit of specific loudness, in which a sound at the
threshold in quiet has 0.17.

Details: added, missing and common as shares of all loudness that either recording has; all are 0 when both are silent.

jnd=0 takes plain differences, A = mean p and M = mean q. The ratio is then a quasi-metric of loudness for all alpha and
beta of 1 or more, a metric where they are equal; `exact` has the proof. With a just noticeable difference small steps
count less than their sum, which can break the triangle inequality by a few percent.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from .. import hearing
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..errors import UsageError
from ..hearing.loudness import Ear, Level
from ..hearing.weighting import Weighted
from ..options import Within
from ..result import Twin

CARD = Card(
    title="Tversky distance",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="ratio: N / (C + N), log: ln(1 + N / (C + 0.02 R + 0.001)); N = alpha A + beta M of added and missing, "
    "C common loudness, R that of the reference",
    source="Tversky 1977, Psychological Review 84(4) 327-352, ratio model; weights 2 to 1 as PEAQ's RmsNoiseLoudAsym",
    conventions="form=ratio is made to be read: it runs from 0 to 1. form=log is made to train on: the ratio saturates "
    "near 1, where its gradient vanishes, most of all for a silent reference; the logarithm keeps a slope.",
    silence="0 when both are silent; 1 when only one is (log: a large number).",
    caveat="It knows no pitch: two tones that do not overlap are equally far at any interval. It is deaf to phase, and "
    "nearly so to what lies under a masker. The level of playback matters.",
    version=2,
    level="a full-scale sine is 92 dB SPL, unless level says otherwise",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

PRESETS = {  # alpha, beta
    "default": (2.0, 1.0),  # PEAQ counts added twice missing
    "symmetric": (1.0, 1.0),  # Jaccard, Ruzicka
    "dice": (0.5, 0.5),
    "artefact": (4.0, 1.0),
    "dropout": (1.0, 2.0),
    "precision": (1.0, 0.0),
    "recall": (0.0, 1.0),
}
JND_SLOPE, JND_FLOOR = 0.053, 0.02  # of specific loudness: 0.23 ln(10) / 10 per dB
PLAIN = 1e-30  # added to it, which changes nothing and keeps 0 / 0 out where it is 0
R_SHARE, KAPPA = 0.02, 1e-3  # form=log: what keeps the quotient finite, and its slope, where nothing is common


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    form: Annotated[Literal["ratio", "log"], "ratio: 0 to 1; log: ln(1 + difference / common), the one to train on"] = (
        "ratio"
    )
    preset: Annotated[
        Literal["default", "symmetric", "dice", "artefact", "dropout", "precision", "recall"],
        "alpha and beta: default 2 and 1, symmetric 1 and 1, dice .5 and .5, artefact 4 and 1, dropout 1 and 2, "
        "precision 1 and 0, recall 0 and 1",
    ] = "default"
    alpha: Annotated[float, Within(-1, 1e6), "weight of added loudness, -1 for the preset's"] = -1.0
    beta: Annotated[float, Within(-1, 1e6), "weight of missing loudness, -1 for the preset's"] = -1.0
    jnd: Annotated[
        float,
        Within(0, 10),
        "just noticeable difference in dB; 0: plain differences, with alpha, beta >= 1 a quasi-metric",
    ] = 1.0
    level: Level = 92.0

    float64: ClassVar[bool] = True

    @property
    def weights(self) -> tuple[float, float]:
        """Alpha and beta: those that are given, else the preset's."""
        alpha, beta = PRESETS[self.preset]
        return alpha if self.alpha == -1 else self.alpha, beta if self.beta == -1 else self.beta

    @property
    def noticeable(self) -> tuple[float, float]:
        """The just noticeable difference of specific loudness: slope and floor."""
        return self.jnd * JND_SLOPE, self.jnd * JND_FLOOR + PLAIN

    def check(self) -> None:
        if min(self.weights) < 0 or max(self.weights) == 0:
            raise UsageError("alpha and beta must be 0 or more and not both 0, not {:g} and {:g}".format(*self.weights))


def measure(pair: Pair, o: Options) -> Channel:
    alpha, beta = o.weights
    slope, floor = o.noticeable
    ear = Ear.of(pair.rate, o.level)
    specific = ear.loudness(pair.ref.dtype)

    def overlaps(spectra: Any, edges: Any, out: Any) -> None:
        n = specific(spectra)
        hearing.sensation.overlap(n[0], n[1], slope, floor, edges, out)

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        added, missing, common, ref_loudness = np.moveaxis(sums, -1, 0) / (frames * bins)
        difference = alpha * added + beta * missing
        if o.form == "log":
            return np.log1p(difference / (common + R_SHARE * ref_loudness + KAPPA))
        return _ratio(difference, common)

    def unit(sums: Any) -> Any:  # of the value, for one of weighted difference
        difference = alpha * sums.total[0] + beta * sums.total[1]
        return finish(sums.total, sums.frames, sums.bins) / difference if difference > 0 else 0.0

    def added(sums: Any) -> Any:
        return unit(sums) * alpha * sums.map[:, :, 0]

    def parts(sums: Any) -> Any:
        return added(sums) + unit(sums) * beta * sums.map[:, :, 1]

    return spectral(pair, ear.stft, overlaps, 4, finish, parts, frequencies=ear.centres, added=added, details=_shares)


def twin(rate: int, o: Options) -> Twin:
    import torch

    from ..engine.tensors import tell
    from ..hearing.tensors import specific_loudness

    alpha, beta = o.weights
    slope, floor = o.noticeable
    specific = specific_loudness(Ear.of(rate, o.level))

    def value(ref: Any, test: Any) -> Any:
        b, a = specific(ref), specific(test)
        p, q, tau = (a - b).relu(), (b - a).relu(), slope * b + floor
        difference = (alpha * p.square() / (p + tau) + beta * q.square() / (q + tau)).mean((1, 2))
        common = torch.minimum(a, b).mean((1, 2))
        tell(lambda: _told((p.square() / (p + tau)).mean((1, 2)), (q.square() / (q + tau)).mean((1, 2)), common))
        if o.form == "log":
            return (difference / (common + R_SHARE * b.mean((1, 2)) + KAPPA)).log1p()
        return difference / torch.where(difference > 0, common + difference, 1)

    return value


def exact(ref: Any, test: Any, alpha: float, beta: float) -> Any:
    """Tversky's ratio of features >= 0 [..., feature] without a just noticeable difference, 0 to 1: what jnd=0 takes of
    specific loudness.

    With alpha and beta of 1 or more it is a quasi-metric. Let u+ = max(u, 0), n(x, y) = sum alpha (y - x)+ +
    beta (x - y)+ the weighted difference, C(x, y) = sum min(x, y) what is common, and d = n / (C + n).

    Zero: d >= 0, and d(x, y) = 0 only where n(x, y) = 0, that is x = y, as both weights are above 0.
    Triangle: (u + v)+ <= u+ + v+, so n(x, z) <= n(x, y) + n(y, z). As d grows with n,
        d(x, z) <= (n(x, y) + n(y, z)) / (C(x, z) + n(x, y) + n(y, z)).
    Since min(x, y) <= min(x, z) + (y - z)+, and the weight of (y - z)+ in n(y, z) is beta >= 1,
        C(x, y) <= C(x, z) + n(y, z); likewise C(y, z) <= C(x, z) + n(x, y), because alpha >= 1.
    So n(x, y) / (C(x, z) + n(x, y) + n(y, z)) <= n(x, y) / (C(x, y) + n(x, y)) = d(x, y), and the other term is at most
    d(y, z). Their sum is the bound above.
    Symmetry: d(x, y) with alpha, beta is d(y, x) with beta, alpha; it is a metric where they are equal.
    """
    u = np.asarray(test) - ref
    difference = (alpha * np.maximum(u, 0) + beta * np.maximum(-u, 0)).sum(-1)
    return _ratio(difference, np.minimum(ref, test).sum(-1))


def _ratio(difference: Any, common: Any) -> Any:
    return difference / np.where(difference > 0, common + difference, 1.0)


def _shares(sums: Any) -> dict[str, float]:
    return {name: float(x) for name, x in _told(*sums.total[:3]).items()}


def _told(added: Any, missing: Any, common: Any) -> dict[str, Any]:
    """The three as shares of their sum."""
    total = added + missing + common
    total = total + (total == 0)
    return {"added": added / total, "missing": missing / total, "common": common / total}
