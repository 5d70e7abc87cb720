"""Sound files to compare."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from audiosim.testing.signals import COMPILED, noise

RATE = 16000
SECONDS = 0.5 if COMPILED else 0.1


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: ref.wav, near.wav and far.wav (with noise at -40 and -10 dB), and some that make trouble."""
    folder = tmp_path_factory.mktemp("sounds")
    ref = noise(RATE, SECONDS, seed=1)[0]
    other = noise(RATE, SECONDS, seed=2)[0]

    def write(name: str, samples: object, rate: int = RATE) -> None:
        soundfile.write(folder / name, samples, rate, subtype="FLOAT")

    write("ref.wav", ref)
    write("near.wav", ref + 0.01 * other)
    write("far.wav", ref + 0.3 * other)
    write("silent.wav", 0.0 * ref)
    write("short.wav", ref[: len(ref) // 4])
    write("fast.wav", ref, 48000)
    (folder / "broken.wav").write_text("this is no sound")
    (folder / "empty.wav").write_bytes(b"")
    return folder
