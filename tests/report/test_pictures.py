"""Pictures: PNGs that decode to what was put in, colours in equal steps, power where it belongs."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from audiosim.report import pictures
from audiosim.testing.signals import noise, sine

RATE = 48000


def decoded(data):
    """(levels [row, column], palette [level, 4]) of an indexed PNG without filters; every checksum is checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += length + 12
    assert list(chunks) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 3, [0, 0, 0])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    rgb = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return rows[:, 1:], np.column_stack([rgb, np.frombuffer(chunks[b"tRNS"], np.uint8)])


def lightness(palette):
    """L of OKLab, from sRGB: the inverse of what the maps are made with, by another matrix."""
    c = palette[:, :3] / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ [0.2104542553, 0.7936177850, -0.0040720468]


def test_a_png_decodes_to_what_was_put_in():
    levels = np.random.default_rng(0).integers(0, 64, (7, 13))
    rows, palette = decoded(pictures.png(levels, pictures.brightness_map()))
    assert (rows == levels).all()
    assert (palette == pictures.brightness_map()).all()


def test_pillow_reads_it_too():
    image = pytest.importorskip("PIL.Image")
    import io

    levels = np.arange(64).reshape(8, 8)
    read = np.asarray(image.open(io.BytesIO(pictures.png(levels, pictures.brightness_map()))).convert("RGBA"))
    assert (read.reshape(64, 4) == pictures.brightness_map()).all()


def test_brightness_grows_in_equal_steps():
    np.testing.assert_allclose(
        lightness(pictures.brightness_map()), np.linspace(0.12, 0.96, pictures.LEVELS), atol=0.015
    )  # 8 bits are coarse in the dark


def test_the_middle_of_the_difference_is_transparent_and_its_ends_are_not():
    palette = pictures.difference_map()
    middle = len(palette) // 2
    assert palette[middle, 3] == 0
    assert palette[0, 3] == palette[-1, 3] == 255
    assert palette[0, 2] > palette[0, 0]  # blue
    assert palette[-1, 0] > palette[-1, 2]  # orange
    assert (np.diff(palette[middle:, 3]) > 0).all()
    assert (palette[:middle, 3] == palette[:middle:-1, 3]).all()


@pytest.mark.parametrize("frequency", [200.0, 1000.0, 9000.0])
def test_a_sine_lies_in_its_row_at_its_level(frequency):
    x = sine(RATE, 0.5, frequency=frequency)
    power, edges = pictures.power(x, RATE, 0, x.shape[1])
    row = int(np.searchsorted(edges, frequency)) - 1
    column = power[:, power.shape[1] // 2]
    assert abs(int(column.argmax()) - row) <= 2
    if frequency < 2000:  # rows of less than a bin; wider ones hold the mean of theirs
        assert 10 * np.log10(column.max()) == pytest.approx(20 * np.log10(0.5), abs=1.5)


def test_no_sample_is_missed_in_a_long_recording():
    x = np.zeros((1, 60 * RATE), np.float32)
    at = 41.237
    x[0, round(at * RATE)] = 1.0
    power, _ = pictures.power(x, RATE, 0, x.shape[1])
    assert power.shape[1] == pictures.COLUMNS
    assert int(power.sum(axis=0).argmax()) == pytest.approx(at / 60 * pictures.COLUMNS, abs=1)


def test_a_part_is_the_part_of_the_whole():
    x = noise(RATE, 1.0, channels=2)
    part, edges = pictures.power(x, RATE, 9600, 19200, 50)
    alone, same = pictures.power(x[:, 9600 - 2048 : 19200 + 2048], RATE, 2048, 2048 + 9600, 50)
    assert (edges == same).all()
    np.testing.assert_allclose(part, alone, rtol=1e-5)


def test_outside_the_recording_it_is_silent():
    power, _ = pictures.power(noise(RATE, 0.1), RATE, 0, RATE)
    assert (power[:, power.shape[1] // 2 :] == 0.0).all()


@pytest.mark.parametrize("length", [1, 2, 31, 500])
def test_the_shortest_recordings_have_a_picture(length):
    x = noise(RATE, 1.0)[:, :length]
    ref, edges = pictures.power(x, RATE, 0, length)
    assert ref.shape == (pictures.ROWS, max(1, length * 16 // 2048))
    assert np.isfinite(ref).all()
    assert (np.diff(edges) > 0).all()


def test_silence_is_black_and_no_difference():
    ref, test, top = pictures.decibels(np.zeros((180, 3)), np.zeros((180, 3)))
    rows, _ = decoded(pictures.spectrogram(ref, top))
    assert (rows == 0).all()
    data, end = pictures.difference(ref, test)
    rows, palette = decoded(data)
    assert (palette[rows][..., 3] == 0).all()
    assert end == 3.0


def test_low_frequencies_are_at_the_bottom_and_louder_is_orange():
    quiet, loud = np.full((180, 3), -40.0), np.full((180, 3), -40.0)
    loud[:10] = -20.0
    rows, palette = decoded(pictures.difference(quiet, loud)[0])
    assert (rows[-10:] == len(palette) - 1).all()
    assert (palette[rows[:-10]][..., 3] == 0).all()
