"""Spectrograms as small PNGs: short-time power by log frequency, two colour maps, an indexed PNG writer."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.fft import rfft

Array = NDArray[Any]

COLUMNS, ROWS = 1000, 180  # of a picture
LEVELS = 64  # of a colour map: no step is seen, and the file is a third smaller than with 256
FRAME = 0.04  # seconds, about, of an analysis frame
LOWEST = 50.0  # Hz, the lower edge of a picture
SPAN_DB = 80.0  # from the brightest colour to the darkest
BLOCK = 1 << 20  # samples of frames analysed at a time


def png(levels: Array, palette: Array) -> bytes:
    """An indexed PNG. levels: whole numbers [row from the top, column] into palette [level, red green blue alpha]."""
    height, width = levels.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = levels

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", palette[:, :3].astype(np.uint8).tobytes()),
            chunk(b"tRNS", palette[:, 3].astype(np.uint8).tobytes()),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )


def brightness_map() -> Array:
    """[level, red green blue alpha], dark to bright: lightness grows in equal steps, from night blue to pale yellow."""
    place = np.linspace(0.0, 1.0, LEVELS)
    colours = _srgb(0.12 + 0.84 * place, 0.21 * np.sin(np.pi * np.clip(0.08 + 0.84 * place, 0, 1)), 285 + 175 * place)
    return np.hstack([colours, np.full((LEVELS, 1), 255)])


def difference_map() -> Array:
    """[level, red green blue alpha]: blue below the middle, orange above it, the middle transparent, so that it is
    white on white and black on black."""
    place = np.linspace(-1.0, 1.0, LEVELS + 1)  # odd, so that there is a middle
    strength = np.abs(place)
    colours = _srgb(0.68 - 0.1 * strength, 0.19 * np.ones_like(place), np.where(place < 0, 258.0, 48.0))
    return np.hstack([colours, np.rint(255 * strength**0.8)[:, None]])


def power(samples: Array, rate: int, start: int, stop: int, columns: int = COLUMNS) -> tuple[Array, Array]:
    """(power [row, column], low frequencies first; edges [row + 1] in Hz) of samples [channel, sample], start to stop.

    Power is the mean over channels and over all frames of a column; a full-scale sine has 1 in its bin. What lies
    outside the samples is silence. Rows are equally wide in log frequency, from 50 Hz to half the rate.
    """
    n = max(32, 1 << round(np.log2(FRAME * rate)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    columns = int(min(columns, max(1, (stop - start) * 16 // n)))
    per_column = max(1, -(-2 * (stop - start) // (n * columns)))  # frames: half overlapping ones miss nothing
    centres = start + (np.arange(columns * per_column) + 0.5) * (stop - start) / (columns * per_column)
    first = np.floor(centres).astype(np.int64) - n // 2
    bins = (np.arange(n // 2 + 2) - 0.5) * rate / n
    edges = np.geomspace(min(LOWEST, rate / 64), rate / 2, ROWS + 1)
    picture = np.zeros((columns, ROWS))
    step = max(1, BLOCK // (n * per_column))
    for c in range(0, columns, step):
        begins = first[c * per_column : (c + step) * per_column]
        low, high = int(begins[0]), int(begins[-1]) + n
        inside = np.zeros((len(samples), high - low), np.float32)
        a, b = max(low, 0), min(high, samples.shape[1])
        if a < b:
            inside[:, a - low : b - low] = samples[:, a:b]
        frames = np.lib.stride_tricks.sliding_window_view(inside, n, axis=1)[:, begins - low]
        spectra = np.square(np.abs(rfft(frames * window.astype(np.float32)))).mean(axis=0, dtype=np.float64)
        columnwise = spectra.reshape(-1, per_column, n // 2 + 1).mean(axis=1) / (window.sum() / 2) ** 2
        summed = np.cumsum(np.pad(columnwise, ((0, 0), (1, 0))), axis=1)
        place = np.interp(edges, bins, np.arange(n // 2 + 2.0))
        whole = np.minimum(place.astype(int), n // 2)
        at = summed[:, whole] + (place - whole) * columnwise[:, whole]
        picture[c : c + step] = np.diff(at, axis=1) / np.diff(place)
    return picture.T, edges


def decibels(ref: Array, test: Array) -> tuple[Array, Array, float]:
    """(ref, test, top): two powers in dB, none more than 80 dB below the top, the highest of both; -inf: all silent."""
    top = float(max(ref.max(), test.max()))
    if not top > 0.0:
        return np.zeros_like(ref), np.zeros_like(test), -np.inf
    floor = top * 10 ** (-SPAN_DB / 10)
    levels = (10 * np.log10(np.maximum(p, floor)) for p in (ref, test))
    return next(levels), next(levels), float(10 * np.log10(top))


def spectrogram(level_db: Array, top_db: float) -> bytes:
    """PNG of levels in dB [row from low frequencies on, column], the brightest at top_db."""
    place = np.clip((level_db[::-1] - top_db) / SPAN_DB + 1.0, 0.0, 1.0) if np.isfinite(top_db) else 0.0 * level_db
    return png(np.rint(place * (LEVELS - 1)), brightness_map())


def difference(ref_db: Array, test_db: Array) -> tuple[bytes, float]:
    """(PNG of test - ref, the difference in dB at which its colours end: 3 to 30); more in the test is orange."""
    change = (test_db - ref_db)[::-1]
    end = float(np.clip(np.percentile(np.abs(change), 99.5), 3.0, 30.0))
    return png(np.rint((np.clip(change / end, -1.0, 1.0) + 1.0) / 2 * LEVELS), difference_map()), end


def _srgb(lightness: Array, chroma: Array, hue: Array) -> Array:
    """[colour, red green blue] of 0 to 255 from OKLCh (Ottosson 2020); the chroma is lowered where sRGB has no such
    colour. Hue in degrees."""
    best = np.zeros((len(lightness), 3))
    for share in np.linspace(0.0, 1.0, 41):  # the largest share of the chroma that is possible
        a, b = (share * chroma * f(np.deg2rad(hue)) for f in (np.cos, np.sin))
        cones = np.stack(
            [
                lightness + 0.3963377774 * a + 0.2158037573 * b,
                lightness - 0.1055613458 * a - 0.0638541728 * b,
                lightness - 0.0894841775 * a - 1.2914855480 * b,
            ]
        )
        linear = (
            np.array(
                [
                    [4.0767416621, -3.3077115913, 0.2309699292],
                    [-1.2684380046, 2.6097574011, -0.3413193965],
                    [-0.0041960863, -0.7034186147, 1.7076147010],
                ]
            )
            @ cones**3
        ).T
        possible = ((linear >= -1e-4) & (linear <= 1.0001)).all(axis=1)
        best[possible] = np.clip(linear, 0.0, 1.0)[possible]
    result: Array = np.rint(255 * np.where(best <= 0.0031308, 12.92 * best, 1.055 * best ** (1 / 2.4) - 0.055))
    return result
