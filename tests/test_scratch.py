"""Samples of long recordings lie in a file: the same numbers, little memory, and no trace of it afterwards."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from audiosim import Signal, compare, load, scratch
from audiosim.testing.signals import COMPILED, pink

RATE = 16000
linux = pytest.mark.skipif(not scratch.POSSIBLE, reason="this system keeps samples in memory")


def held() -> int:
    gc.collect()
    with scratch._lock:  # nobody else holds on to them
        return len(scratch._files)


@linux
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [("wav", "PCM_16"), ("wav", "DOUBLE"), ("flac", "PCM_24"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")],
)
@pytest.mark.parametrize("damaged", ["error", "allow"])
def test_the_samples_are_the_same(
    channels: int, form: str, subtype: str, damaged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"sound.{form}"
    soundfile.write(path, 0.1 * pink(RATE, 5.3, 1, channels).T, RATE, subtype=subtype)
    expected = load(path, damaged=damaged)
    before = held()
    monkeypatch.setattr(scratch, "LARGE", 0)
    found = load(path, damaged=damaged)
    assert held() > before
    assert (found.rate, found.notes) == (expected.rate, expected.notes)
    assert found.samples.dtype == expected.samples.dtype
    assert found.samples.flags.c_contiguous
    np.testing.assert_array_equal(found.samples, expected.samples)
    del found
    assert held() == before


@linux
def test_copies_of_what_is_trimmed_lie_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pink(RATE, 1.0, 1, 2).astype(np.float32)
    y = x[:, :-10] * np.float32(0.9)
    expected = compare(x, y, ["mse", "lsd"], RATE)
    monkeypatch.setattr(scratch, "LARGE", 0)
    found = compare(Signal.of(x, RATE), Signal.of(y, RATE), ["mse", "lsd"])
    assert {k: v.value for k, v in found.items()} == {k: v.value for k, v in expected.items()}


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("length", [0, 1, 7, 99, 100])
def test_shortened_keeps_all_channels(channels: int, length: int) -> None:
    x = np.arange(100.0 * channels).reshape(channels, 100)
    expected = x[:, :length].copy()
    found = scratch.shortened(x, length)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


@linux
def test_without_room_or_folder_memory_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGE", 0)
    before = held()
    for name, fault in (
        ("disk_usage", lambda _: SimpleNamespace(free=4000)),
        ("posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError("No space left on device"))),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(shutil if name == "disk_usage" else scratch.os, name, fault)
            x = scratch.empty((2, 1000), np.float32)
            assert x.shape == (2, 1000)
            assert held() == before
            x[:] = 1


CHILD = """
import resource, sys, numpy as np
from audiosim import compare
x = np.random.default_rng(1).standard_normal((1, 48000)).astype(np.float32) / 10
compare(x, x / 2, ["mse"], 16000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
value = compare(*sys.argv[1:3], ["mse"])["mse"].value
print(value, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@linux
@pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
def test_memory_is_a_window_of_the_recordings(tmp_path: Path) -> None:
    """The peak of resident memory, mapped pages included: the decoded samples are 640 MB."""
    seconds, block = 2500, 100
    x = np.round(pink(RATE, block, 1, 2).T * 3000).astype(np.int16)
    for name, change in (("ref.wav", 0), ("test.wav", 8)):
        with soundfile.SoundFile(tmp_path / name, "w", RATE, 2, "PCM_16") as file:
            for _ in range(0, seconds, block):
                file.write(x + np.int16(change))
    files = [str(tmp_path / name) for name in ("ref.wav", "test.wav")]
    ended = subprocess.run([sys.executable, "-c", CHILD, *files], capture_output=True, text=True, check=True)
    value, grown = map(float, ended.stdout.split())
    assert value == pytest.approx((8 / 32768) ** 2)
    assert grown < 320e6
