"""Transposes of stages of PEAQ's ear for which array operations are slow: spreading over bands, one-pole means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import kernel
from .fft_ear import STEP, BarkEar

Array = NDArray[Any]


@kernel
def one_pole(x: Array, decay: Array, backwards: bool, out: Array) -> None:
    """out = decay * last out + (1 - decay) x over frames [frame, band], from 0; backwards, which is its transpose, the
    last one is that of the frame after."""
    frames, bands = x.shape
    memory = np.zeros(bands)
    for i in range(frames):
        f = frames - 1 - i if backwards else i
        row, o = x[f], out[f]
        for b in range(bands):
            m = decay[b] * memory[b] + (1 - decay[b]) * row[b]
            memory[b] = m
            o[b] = m


def spread_slope(ear: BarkEar, energy: Array, slope: Array) -> Array:
    """The transpose of ear.spread at energy [frame, band], above 0, of slope [frame, band]."""
    out = np.empty_like(energy)
    _spread_slope(energy, slope, ear.down, ear.up, ear.below, ear.unity, out)
    return out


@kernel
def _spread_slope(
    energy: Array, gradient: Array, down: float, up: Array, below: Array, unity: Array, out: Array
) -> None:
    """With s = up + 0.2 STEP ln E, A = below + (1 - e^(n s)) / (1 - e^s), n bands from a band upwards, p = (E / A)^0.4
    and q = e^(0.4 s), fft_ear spreads W_i = sum_{l >= i} p_l e^(0.4 down (l - i)) + sum_{l < i} p_l q_l^(i - l)
    and gives W^2.5 / unity."""
    bands = energy.shape[1]
    logarithm, area, far, near, slope, part, power, whole, g = np.empty((9, bands))
    through, moved = np.empty((2, bands))
    scratch = np.empty(bands, np.int64)
    lower = np.exp(0.4 * down)
    per_energy = 0.2 * STEP
    for f in range(energy.shape[0]):
        for i in range(bands):
            logarithm[i] = energy[f, i]
        logarithms(logarithm, scratch)
        for i in range(bands):
            s = up[i] + per_energy * logarithm[i]
            far[i] = (bands - i) * s
            near[i] = s
            slope[i] = 0.4 * s
        exponentials(far, scratch)
        exponentials(near, scratch)
        exponentials(slope, scratch)
        for i in range(bands):
            area[i] = below[i] + (1 - far[i]) / (1 - near[i])
            part[i] = area[i]
        logarithms(part, scratch)
        for i in range(bands):
            part[i] = 0.4 * (logarithm[i] - part[i])
        exponentials(part, scratch)
        carried = 0.0
        for i in range(bands - 1, -1, -1):
            carried = lower * carried + part[i]
            whole[i] = carried
            power[i] = part[i]
        for j in range(1, bands):
            w, s, target = power[: bands - j], slope[: bands - j], whole[j:]
            for i in range(w.size):
                w[i] *= s[i]
                target[i] += w[i]
        carried = 0.0
        for i in range(bands):
            g[i] = gradient[f, i] * 2.5 * whole[i] * np.sqrt(whole[i]) / unity[i]
            carried = lower * carried + g[i]
            through[i] = carried
            moved[i] = 0.0
            power[i] = 1.0
        for j in range(1, bands):
            w, s, source = power[: bands - j], slope[: bands - j], g[j:]
            for i in range(w.size):
                w[i] *= s[i]
                v = source[i] * w[i]
                through[i] += v
                moved[i] += j * v
        for i in range(bands):
            steeper = (near[i] * (1 - far[i]) / (1 - near[i]) - (bands - i) * far[i]) / (1 - near[i])  # dA / ds
            of_part = through[i] * (1 - per_energy * steeper / area[i])
            out[f, i] = 0.4 * part[i] * (of_part + per_energy * moved[i]) / energy[f, i]
