"""Mean squared error: mean (test - ref)^2. Textbook; as torch.nn.functional.mse_loss."""

from __future__ import annotations

from .. import engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..hearing.weighting import Weighted
from ..result import Twin

CARD = Card(
    title="Mean squared error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean (test - ref)^2",
    source="textbook definition",
    conventions="Nothing differs between programs.",
    silence="Defined: the power of whichever signal is not silent, 0 when both are.",
    caveat="Deaf to what people hear: a one-sample delay or a flipped polarity outweighs loud noise. Use it to check "
    "that two files are the same, not that they sound the same.",
    version=2,
    symmetric=True,
    gradient="exact",
    profile="local",
    map="sum",
)

Options = Weighted


def measure(pair: Pair, o: Options) -> Channel:
    error = engine.moments.over(engine.moments.error, 1, pair.ref, pair.test, threads=pair.threads)[0]
    length = pair.ref.length
    return waveform(pair, error / length, lambda e, samples: e[..., 2] / samples, scale=length)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint

    return lambda ref, test: Joint(ref, test).noise / ref.shape[-1]
