"""Card: what a metric states about itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Family = Literal["conventional", "cepstral", "perceptual", "music", "trained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a metric promises; tests, gates, tables and `explain` read it, so every field is kept or fails a test."""

    title: str
    family: Family
    unit: str  # of the value: "dB", "MOS"...; "1" for a pure number
    better: Literal["lower", "higher"]
    identical: float | None  # value of two identical files; None where it depends on the signal (then see slack)
    range: tuple[float, float] = (0.0, inf)
    formula: str  # one line, plain text
    source: str  # paper or standard, with equation
    conventions: str  # what other programs do differently, and the option that gives their number
    silence: str  # the answer for a silent reference, test or both
    caveat: str  # when not to use it
    version: int = 1  # of its numbers: raised when they change, so that kept ones are computed anew
    minimum: str = "one sample"  # the shortest input that has an answer
    shortest: float = 0.0  # the same in seconds, for metrics without a number below it
    pauses: bool = False  # silence of the reference does not count: so much sound is needed
    settles: float = 0.0  # seconds from which on its source vouches for the value; shorter ones are an extension
    rate: int | None = None  # Hz that the metric demands; None: any
    channels: str = "any"
    pooling: Literal["mean", "rms", "min", "max", "downmix"] = "mean"  # of channels
    lengths: Literal["equal", "any"] = "equal"
    together: bool = False  # its channels decide together which frames count: its twin takes [batch, channel, sample]
    alone: bool = False  # it judges the test alone; the reference is for comparison
    level: str = "full scale is 1.0"  # what it assumes of the level
    symmetric: bool  # d(a, b) == d(b, a)
    triangle: bool  # d(a, c) <= d(a, b) + d(b, c)
    blind: tuple[str, ...] = ()  # names of distortions in tests/signals.py that it does not hear, by design
    loses_track: tuple[str, ...] = ()  # those that, at full strength, mislead its alignment and profiles
    saturates: float | None = None  # value beyond which worse sound is no longer told from bad sound
    slack: float = 0.0  # how much better than an identical file a degraded one may score, in the value's unit
    gradient: Literal["exact", "surrogate", "none"]
    cap: str = ""  # what Loss gives where the value is undefined or infinite; "" where that never happens
    surrogate: str = ""  # what Loss minimises instead of the metric, where the gradient is that of a surrogate
    holds: str = ""  # what of the reference a gradient with respect to it holds fixed; "" where that is exact too
    deaf_start: bool = False  # the gradient on a silent test is exactly zero: Loss(dither=) mends it
    needs: tuple[str, ...] = ()  # extras of the package that it needs
    profile: Literal[
        "local", "share"
    ]  # per_band and per_time hold the metric there, or the share of error energy there
    profile_unit: str | None = None  # of per_band and per_time, where they hold something else than the value
    # sum of the map is: value, value**2, 10**(-value/10), 10**(value/10), or 1
    map: Literal["sum", "sqrt", "db", "level", "share"]
