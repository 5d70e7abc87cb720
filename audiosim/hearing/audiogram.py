"""Audiograms: hearing losses in dB at six frequencies, as text."""

from __future__ import annotations

from ..errors import UsageError

FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)  # Hz
LIMITS = -20.0, 140.0  # dB that an audiometer shows
# Standard audiograms of Bisgaard, Vlaming & Dahlquist 2010 (Trends in Amplification 14, 113-120): N flat and moderately
# sloping, S steeply sloping, the higher the number the worse.
NAMED = {
    "normal": (0.0,) * 6,
    "N1": (10.0, 10.0, 10.0, 15.0, 30.0, 40.0),
    "N2": (20.0, 20.0, 25.0, 35.0, 45.0, 50.0),
    "N3": (35.0, 35.0, 40.0, 50.0, 60.0, 65.0),
    "N4": (55.0, 55.0, 55.0, 65.0, 75.0, 80.0),
    "N5": (65.0, 70.0, 75.0, 80.0, 80.0, 80.0),
    "N6": (75.0, 80.0, 85.0, 90.0, 100.0, 100.0),
    "N7": (90.0, 95.0, 105.0, 105.0, 105.0, 105.0),
    "S1": (10.0, 10.0, 10.0, 15.0, 55.0, 70.0),
    "S2": (20.0, 20.0, 25.0, 55.0, 95.0, 95.0),
    "S3": (30.0, 35.0, 60.0, 75.0, 80.0, 85.0),
}
HELP = "hearing losses in dB at 250/500/1000/2000/4000/6000 Hz, such as 20/20/25/35/45/50, or normal, N1-N7, S1-S3"


def losses(text: str) -> tuple[float, ...]:
    """Hearing losses in dB at FREQUENCIES of six numbers with slashes between them, or of a name.

    Raises UsageError for anything else.
    """
    named = {name.lower(): found for name, found in NAMED.items()}.get(text.strip().lower())
    if named:
        return named
    try:
        found = tuple(float(part) for part in text.split("/"))
    except ValueError:
        found = ()
    low, high = LIMITS
    if len(found) != len(FREQUENCIES) or not all(low <= loss <= high for loss in found):
        raise UsageError(
            f"the audiogram {text!r} is neither hearing losses of {low:g} to {high:g} dB at "
            f"{'/'.join(map(str, FREQUENCIES))} Hz, such as 20/20/25/35/45/50, nor one of: {', '.join(NAMED)}"
        )
    return found
