"""What listeners just notice, by form=audibility of the auditory distance: `python -m tests.benchmarks.psychophysics`.

A difference is just noticeable where `sensation` is 3 dB: its loudest 80 ms are as loud as a sound at its threshold.
Each row has what is published, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from audiosim import metrics
from audiosim.testing.signals import Array

RATE = 48000
JUST = 10 * np.log10(2)
HALF = RATE // 2
LONG = round(0.6 * RATE)
measured = metrics.get("auditory").compute
Pair = tuple[Array, Array]


def heard(ref: Array, test: Array) -> bool:
    return measured(ref[None], test[None], RATE, form="audibility").details["sensation"] >= JUST


def tone(f: float, level: float, samples: int = HALF, start: float = 0.0, seconds: float | None = None) -> Array:
    """With ramps of 5 ms; a full-scale sine is 90 dB SPL."""
    x = np.zeros(samples)
    count = samples if seconds is None else round(seconds * RATE)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(RATE // 200) / (RATE // 200))
    wave = 10 ** ((level - 90) / 20) * np.sin(2 * np.pi * f * np.arange(count) / RATE)
    wave[: ramp.size] *= ramp
    wave[-ramp.size :] *= ramp[::-1]
    first = round(start * RATE)
    x[first : first + count] = wave
    return x


def white(spectrum_level: float) -> Array:
    """So many dB SPL per Hz."""
    sine = 10 ** ((spectrum_level - 90) / 20) / np.sqrt(2)
    return sine * np.sqrt(RATE / 2) * np.random.default_rng(1).standard_normal(HALF)


def just(pair: Callable[[float], Pair], low: float, high: float) -> float:
    """The least x from which on the pair is told apart."""
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (low, middle) if heard(*pair(middle)) else (middle, high)
    return middle


def added(masker: Array, *where: float) -> Callable[[float, float], float]:
    """Level of a tone that is just heard beside a masker; where: its start and length in seconds."""
    return lambda f, highest: just(lambda level: (masker, masker + tone(f, level, masker.size, *where)), -20, highest)


def quiet(f: float) -> tuple[float, float]:
    """Threshold in quiet in dB SPL, and that of Terhardt 1979, Hearing Research 1, 155-182, eq. 1."""
    published = 3.64 * (f / 1000) ** -0.8 - 6.5 * np.exp(-0.6 * (f / 1000 - 3.3) ** 2) + 1e-3 * (f / 1000) ** 3.6
    return added(np.zeros(HALF))(f, 60), float(published)


def beside_noise(f: float) -> float:
    """A tone beside white noise, in dB above the noise's spectrum level."""
    return added(white(20))(f, 80) - 20


def beside_tone(f: float, level: float) -> float:
    """Level of a tone that is just heard beside one of 1 kHz."""
    return added(tone(1000, level))(f, 100)


def after(level: float, seconds: float) -> float:
    """By how many dB the threshold of 10 ms at 1 kHz rises so long after 200 ms of the same tone."""
    return _beside(tone(1000, level, LONG, 0.05, 0.2), 0.25 + seconds)


def before(level: float, seconds: float) -> float:
    """The same, where the 10 ms end so long before the other tone begins."""
    return _beside(tone(1000, level, LONG, 0.25, 0.2), 0.24 - seconds)


def _beside(masker: Array, start: float) -> float:
    return added(masker, start, 0.01)(1000, 90) - added(np.zeros(LONG), 0.3, 0.01)(1000, 90)


def level_of_tone(level: float) -> tuple[float, float]:
    """Just noticeable change in dB at 1 kHz, and dI / I = 0.463 (I / I0)^-0.072 of Jesteadt, Wier and Green 1977."""
    found = just(lambda d: (tone(1000, level), tone(1000, level + d)), 0, 6)
    return found, 10 * np.log10(1 + 0.463 * 10 ** (-0.0072 * level))


def level_of_noise() -> float:
    """Just noticeable change in dB."""
    noise = white(20)
    return just(lambda d: (noise, noise * 10 ** (d / 20)), 0, 6)


def frequency(f: float) -> float:
    """Just noticeable change in percent of a tone at 60 dB."""
    return just(lambda d: (tone(f, 60), tone(f * (1 + d / 100), 60)), 0, 5)


def gap() -> float:
    """The shortest gap in white noise, in ms."""
    noise = white(30)

    def cut(ms: float) -> Pair:
        y = noise.copy()
        y[HALF // 2 : HALF // 2 + round(ms * RATE / 1000)] = 0
        return noise, y

    return just(cut, 0, 10)


def modulation(f: float) -> float:
    """The least depth of a sinusoidal modulation of white noise, 0 to 1."""
    noise, t = white(30), np.arange(HALF) / RATE
    return just(lambda m: (noise, noise * (1 + m * np.sin(2 * np.pi * f * t))), 0, 0.5)


def rows() -> Iterator[tuple[str, str, str]]:
    """What is measured, what is found, and what is published."""
    off = [found - published for found, published in map(quiet, (100, 250, 500, 1000, 2000, 4000, 8000))]
    yield "threshold in quiet, 100 Hz to 8 kHz, re Terhardt: least, most", _list([min(off), max(off)], 1, "dB"), "0"
    beside = _list([beside_noise(f) for f in (1000, 2000, 4000)], 0, "dB")
    yield "tone in white noise, re spectrum level, 1, 2, 4 kHz", beside, "18, 20, 23 dB (Hawkins and Stevens 1950)"
    growth = np.diff([beside_tone(2000, level) for level in (65, 70, 75, 80, 85)]) / 5
    what = "growth of masking of 2 kHz by 1 kHz, 65 to 85 dB in steps of 5"
    yield what, _list(growth, 1, "dB per dB"), "2 dB per dB (Bacon et al. 1999)"
    shifts = _list([after(80, ms / 1000) for ms in (5, 10, 20, 40, 80)], 0, "dB")
    published = "some 20 dB at 10 ms (Jesteadt, Bacon and Lehman 1982)"
    yield "after 80 dB at 1 kHz: shift at 5, 10, 20, 40, 80 ms", shifts, published
    shifts = _list([before(80, ms / 1000) for ms in (1, 5, 10, 20)], 0, "dB")
    yield "before 80 dB at 1 kHz: shift at 1, 5, 10, 20 ms", shifts, "over within 20 ms (Elliott 1962)"
    found, laws = zip(*map(level_of_tone, (20, 40, 60, 80)), strict=True)
    published = f"{_list(laws, 2, 'dB')} (Jesteadt, Wier and Green 1977)"
    yield "change of level, 1 kHz at 20, 40, 60, 80 dB", _list(found, 2, "dB"), published
    yield "change of level, white noise", _list([level_of_noise()], 2, "dB"), "0.5 dB (Miller 1947)"
    limens = _list([frequency(f) for f in (1000, 4000)], 2, "%")
    yield "change of frequency, 1 and 4 kHz", limens, "0.2, 0.3 % (Wier, Jesteadt and Green 1977)"
    yield "gap in noise", _list([gap()], 1, "ms"), "2 to 3 ms (Plomp 1964)"
    depths = _list(20 * np.log10([modulation(f) for f in (4, 16, 64)]), 0, "dB")
    yield "modulation of noise, 4, 16, 64 Hz, 20 lg m", depths, "-25, -25, -22 dB (Viemeister 1979)"


def _list(values: Iterable[float], digits: int, unit: str) -> str:
    return f"{', '.join(f'{x:.{digits}f}' for x in values)} {unit}"


def main() -> None:
    print("| what | here | published |\n|---|---|---|")
    for row in rows():
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
