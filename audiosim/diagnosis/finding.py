"""What a diagnosis consists of: findings with their causes, the null test, and what is left. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Cause = Literal[
    # of the whole recording
    "excerpt",  # the test is a part of the reference, or the other way round
    "delay",
    "drift",  # clocks that differ; size in ppm
    "speed",  # played faster or slower, pitch and all; size in %
    "tempo",  # played faster or slower, pitch kept (time stretching); size in %
    "pitch",  # pitch changed, duration kept; size in semitones
    "gain",
    "loudness normalisation",  # a gain that brings the test to a usual target; size in dB
    "equaliser",
    "compression",  # of dynamics; size in dB between quiet and loud
    "expansion",  # of dynamics, as a gate does; size in dB between quiet and loud
    "moving gain",  # that changes over time (levelling, dynamic normalisation); size in dB
    "polarity",
    "exchanged",  # channels
    "dead",
    "copied",
    "mono",  # of stereo
    "dc",
    "rate conversion",  # band-limited by another sampling rate
    "low-pass",
    "bit depth",
    "dither",
    # of places
    "dropout",
    "repeated",  # buffers
    "lost",  # buffers
    "click",
    "clipping",
    "nonlinear distortion",  # without memory; size in %
    "silence inserted",
    "silence removed",
    "edit",  # material that the other does not have
    "noise",
    "hum",
    "reverberation",
    "pre-echo",
    "band holes",
    "coding noise",  # that follows the sound in time and frequency
    # of both
    "unrelated",  # not the same recording
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
SHOWN = 10  # places of a finding


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened: seconds from the start of each recording as it was given, and Hz.

    channel: counted from 1; None: in all. low, high: None: at all frequencies.
    """

    start: float
    end: float
    test_start: float
    test_end: float
    channel: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that happened to the sound on the way from the reference to the test.

    size: how much, in `unit` ("ms", "dB", "ppm"...); None where there is no one number.
    places: the largest ones, in order of time; count: of all. Both empty for what concerns the whole recording.
    confidence: 0 to 1. share: of the energy of the difference that goes when this is undone, 0 to 1; None: not known.
    detail: further numbers, plain data, named per cause in words.py. minor: too little to matter beside the others.
    """

    cause: Cause
    size: float | None = None
    unit: str = ""
    places: tuple[Place, ...] = ()
    count: int = 0
    confidence: float = 1.0
    share: float | None = None
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    minor: bool = False

    @property
    def sentence(self) -> str:
        from .words import sentence

        return sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        named = {f: getattr(self, f) for f in ("cause", "size", "unit", "count", "confidence", "share", "minor")}
        return {
            **named,
            "places": [asdict(place) for place in self.places],
            "detail": dict(self.detail),
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class NullTest:
    """The test minus the reference, sample by sample, from the start of both as far as both of them go.

    samples: compared, over all channels; differing: of them. first: s of the first difference, first_sample its index.
    peak_dbfs, rms_dbfs: of the difference; None where it is nothing. bits: that agree, of full scale, by its peak.
    """

    samples: int
    differing: int
    first_sample: int | None
    first: float | None
    peak_dbfs: float | None
    rms_dbfs: float | None
    bits: float | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened to the sound.

    findings: what explains most first, minor ones last. null: None where rates or channels differ.
    left_db: power of what is left of the difference when the findings of the whole recording are undone, against the
        reference's; None where nothing is. Places are not undone.
    aligned: whether the two could be laid over one another; where they could not, no places were looked for.
    """

    findings: tuple[Finding, ...]
    null: NullTest | None
    left_db: float | None
    aligned: bool = True

    @property
    def causes(self) -> tuple[Cause, ...]:
        return tuple(f.cause for f in self.findings)

    @property
    def sentences(self) -> list[str]:
        """What a person reads: each finding, minor ones in one line, then what is left."""
        from .words import sentences

        return sentences(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "findings": [f.to_dict() for f in self.findings],
            "null": None if self.null is None else asdict(self.null),
            "left_db": self.left_db,
        }
