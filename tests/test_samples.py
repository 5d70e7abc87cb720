"""The sample recordings are what samples/make.py makes, and differ where it says."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

SAMPLES = Path(__file__).parents[1] / "samples"
FORMATS = {"speech": (16000, 1), "music": (48000, 2)}


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples_make", SAMPLES / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FORMATS)
def test_degraded_file_follows_from_the_reference_bit_for_bit(make: ModuleType, name: str) -> None:
    degraded = make.pcm16(getattr(make, f"degrade_{name}")(make.read(name)))
    committed, _ = soundfile.read(SAMPLES / f"{name}_degraded.flac", dtype="int16", always_2d=True)
    assert np.array_equal(degraded, committed)


def test_music_follows_from_the_script(make: ModuleType) -> None:
    committed, _ = soundfile.read(SAMPLES / "music.flac", dtype="int16", always_2d=True)
    made = make.pcm16(make.music())
    assert np.abs(made.astype(int) - committed).max() <= 1  # sin and exp may differ by a bit between machines


def test_speech_follows_from_the_script(make: ModuleType) -> None:
    program = shutil.which("espeak-ng")
    if not program:
        pytest.skip("espeak-ng is not on the PATH")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if " 1.51 " not in version:
        pytest.skip(f"the sample was made by espeak-ng 1.51, this is {version.strip()}")
    committed, _ = soundfile.read(SAMPLES / "speech.flac", dtype="int16", always_2d=True)
    assert np.abs(make.pcm16(make.speech()).astype(int) - committed).max() <= 1


@pytest.mark.parametrize("name", FORMATS)
def test_formats_and_levels(name: str) -> None:
    for file in (f"{name}.flac", f"{name}_degraded.flac"):
        info = soundfile.info(SAMPLES / file)
        assert (info.samplerate, info.channels, info.subtype) == (*FORMATS[name], "PCM_16")
        assert 4 <= info.duration <= 6
    reference, _ = soundfile.read(SAMPLES / f"{name}.flac")
    assert np.abs(reference).max() == pytest.approx(10 ** (-3 / 20), abs=2**-15)


@pytest.mark.parametrize(
    ("name", "worse", "untouched"),
    [
        ("speech", [(0.7, 1.5), (2.5, 2.8), (3.91, 3.97)], [(0.0, 0.59), (1.61, 2.39), (2.91, 3.89), (4.0, 5.4)]),
        ("music", [(0.9, 1.5), (2.2, 2.21), (3.1, 4.4), (4.6, 5.4)], [(0.0, 0.79), (1.61, 2.19), (2.21, 2.99)]),
    ],
)
def test_differences_lie_where_the_script_says(
    make: ModuleType, name: str, worse: list[tuple[float, float]], untouched: list[tuple[float, float]]
) -> None:
    error = make.read(f"{name}_degraded") - make.read(name)
    rate = FORMATS[name][0]
    for begin, end in worse:
        assert np.abs(error[:, round(begin * rate) : round(end * rate)]).max() > 0.01, (begin, end)
    for begin, end in untouched:
        assert not error[:, round(begin * rate) : round(end * rate)].any(), (begin, end)


def test_music_is_stereo_and_gets_narrower(make: ModuleType) -> None:
    late = slice(round(4.6 * 48000), round(5.4 * 48000))
    before, after = (np.std(x[0, late] - x[1, late]) for x in map(make.read, ("music", "music_degraded")))
    assert after < 0.2 * before


def test_samples_are_small() -> None:
    assert sum(p.stat().st_size for p in SAMPLES.glob("*.flac")) < 1.5e6
