"""Card: what a metric states about itself, in four parts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Family = Literal["conventional", "cepstral", "perceptual", "music", "trained"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the metric is, for people who choose one and read its values."""

    title: str
    family: Family
    unit: str  # of the value: "dB", "MOS"...; "1" for a pure number
    better: Literal["lower", "higher"]
    identical: float | None = None  # value of two identical files; None where it depends on the signal
    range: tuple[float, float] = (0.0, inf)
    formula: str  # one line, plain text
    source: str  # paper or standard, with equation
    conventions: str = ""  # what other programs do differently, where a user decides by it, and the option for it
    silence: str  # the value for a silent reference, test or both
    caveat: str  # when not to use it
    version: int = 1  # of its values: raised when they change, so that stored ones are computed again


@dataclass(frozen=True, kw_only=True)
class Input:
    """What the metric takes."""

    rate: int | None = None  # Hz that it demands; None: any
    channels: str = "any"
    pooling: Literal["mean", "rms", "downmix", "energy"] = "mean"  # of channels; energy: sums of them, before the ratio
    joint_channels: bool = False  # measure takes a list of all channels, and the twin [batch, channel, sample]
    # The other sources of a mixture and their estimates: None where it does not take them, else the detail (or name of
    # the value) that tells which estimate is of which source
    sources: str | None = None
    lengths: Literal["equal", "any"] = "equal"
    minimum: str = "one sample"  # the shortest recording that has a value
    shortest: float = 0.0  # the same in seconds, for metrics without a value below it
    pauses: bool = False  # silence of the reference does not count towards it
    settles: float = 0.0  # seconds from which on its source vouches for the value
    level: str = "full scale is 1.0"  # what it assumes of the level
    domain: str = ""  # what it was judged or tuned on; a summary is stored, to which Result.domain holds each pair
    content: bool = False  # it compares what is played, such as pitch or beats, and not how well that sounds
    non_intrusive: bool = False  # it judges the test alone; the reference is for comparison
    needs: tuple[str, ...] = ()  # extras of the package


@dataclass(frozen=True, kw_only=True)
class Training:
    """What someone who trains with it gets."""

    # straight-through: the value is the metric's; its steps have the gradient of what surrogate says
    gradient: Literal["exact", "straight-through", "surrogate", "none"] = "none"
    surrogate: str = ""  # what Loss minimises instead of the metric, or what stands for its steps
    cap: str = ""  # what Loss gives where the value is undefined or infinite; "" where that never happens
    target_gradient_ignores: str = ""  # what of the target a gradient with respect to it takes for constant
    ratio: bool = False  # to the energy of the target: Loss(silent=) says what becomes of a silent one
    twice: bool = True  # its gradient has a gradient itself
    steepest: float = 1e9  # Loss bounds the gradient of each item: its norm, times the root of its samples
    zero_gradient_on_silence: bool = False  # the gradient on a silent test is exactly zero: use Loss(dither=)


@dataclass(frozen=True, kw_only=True)
class Promises:
    """What tests hold the metric to."""

    symmetric: bool = False  # d(a, b) == d(b, a)
    triangle: bool = False  # d(a, c) <= d(a, b) + d(b, c)
    insensitive_to: tuple[str, ...] = ()  # names of distortions in testing/signals.py that it does not hear
    loses_track: tuple[str, ...] = ()  # those that, at full strength, mislead its alignment and profiles
    saturates: float | None = None  # value beyond which worse sound is no longer told from bad sound
    identity_tolerance: float = 0.0  # how much better than an identical file a degraded one may score
    # per_band and per_time hold the metric there, or the share of the error energy there
    profile: Literal["local", "share"] = "local"
    profile_free: bool = False  # the profile comes with the value at no further cost, so that batch always asks for it
    profile_unit: str | None = None  # of per_band and per_time, where they hold something else than the value
    # sum of the map is: value, value**2, 10**(-value/10), 10**(value/10), or 1; none: there are no bands and no map
    map: Literal["sum", "sqrt", "db", "level", "share", "none"] = "sum"


@dataclass(frozen=True, kw_only=True)
class Card(Promises, Training, Input, Identity):
    """What a metric promises. Tests, gates, tables and `explain` read it, so every field is kept or fails a test.

    A field that is added later has a default, so that a metric written today loads tomorrow.
    """
