"""Pairs and triples of sines that tell whether a distance knows which way a pitch must move: Turian and Henry 2020
(arXiv 2012.04572)."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOWEST, HIGHEST = 30.0, 4000.0  # Hz, between which the frequency lies that is aimed at
MOST = 0.45  # of the rate, up to which the others lie


def sines(frequencies: Array, phases: Array, rate: int, seconds: float) -> Array:
    """[item] Hz and radians -> [item, sample], amplitude 0.5."""
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(0.5 * np.sin(2 * pi * frequencies[:, None] * time + phases[:, None]))


def drawn(rng: np.random.Generator, offsets: Array, rate: int) -> tuple[Array, Array]:
    """f0 [item], log-uniform, and frequencies that lie offsets [item, ...] octaves off, all of an item on one side."""
    f0 = np.empty(len(offsets))
    f = np.empty(offsets.shape)
    for i, octaves in enumerate(offsets):
        while True:
            f0[i] = np.exp(rng.uniform(np.log(LOWEST), np.log(HIGHEST)))
            f[i] = f0[i] * 2.0 ** (rng.choice([-1, 1]) * octaves)
            if f[i].min() >= LOWEST and f[i].max() <= MOST * rate:
                break
    return f0, f


def triples(count: int, rate: int, seconds: float, seed: int = 1) -> tuple[Any, Array, Array]:
    """Sines [item, sample]: one to aim at, and two on the same side of it up to 3 octaves off, the nearer first."""
    rng = np.random.default_rng(seed)
    f0, f = drawn(rng, np.sort(rng.uniform(0, 3, (count, 2)), axis=1), rate)
    phases = rng.uniform(0, 2 * pi, (3, count))
    near, far = (sines(f[:, i], phases[1 + i], rate, seconds) for i in (0, 1))
    return sines(f0, phases[0], rate, seconds), near, far
