"""Sets of recordings, from Python and from the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiosim
from audiosim import audio
from audiosim.cli import run
from audiosim.errors import InputError, NothingToCompare, UsageError
from audiosim.hearing import band_statistics
from audiosim.sets import embedding
from audiosim.sets.embedding import Embedding
from audiosim.signal import Signal

RATE = 16000
COUNT = 9


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "folder", lambda: tmp_path / "kept")


def sound(seed: int, noise: float = 0.0) -> Signal:
    """Syllables of a coloured noise; both are a recording's own."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(1.6 * RATE)) / RATE
    envelope = np.abs(np.sin(np.pi * rng.uniform(2, 5) * t + rng.uniform(0, 3))) ** rng.uniform(1, 2)
    spectrum = np.fft.rfft(rng.normal(size=t.size)) / (1 + np.arange(t.size // 2 + 1) / rng.uniform(300, 900)) ** 2
    x = envelope * np.fft.irfft(spectrum, t.size)
    x = 0.1 * x / x.std() + noise * 0.1 * rng.normal(size=t.size)
    return Signal.of(x, RATE, f"{seed}.wav")


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References, others of their kind, and some with noise."""
    made = tmp_path_factory.mktemp("sets")
    for name, first, noise in (("real", 0, 0.0), ("good", 50, 0.0), ("bad", 90, 0.3)):
        (made / name).mkdir()
        for i in range(COUNT):
            audio.save(made / name / f"{i}.wav", sound(first + i, noise))
    return made


@pytest.fixture
def folders(_made: Path, tmp_path: Path) -> tuple[str, str, str]:
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)
    return tuple(str(tmp_path / name) for name in ("real", "good", "bad"))  # type: ignore[return-value]


def plain(signal: Signal) -> Any:
    """Level and crest of half seconds."""
    x = signal.samples[0][: signal.length // 8000 * 8000].reshape(-1, 8000)
    return np.stack([np.log(x.std(1)), np.log(abs(x).max(1))], 1)


def test_features_of_a_second() -> None:
    x = np.concatenate([sound(1).samples[0], sound(2).samples[0]])[: int(2.1 * RATE)]
    found = band_statistics.features(x, RATE)
    assert found.shape == (3, len(band_statistics.names()))
    assert np.allclose(found, band_statistics.features(0.01 * x, RATE), atol=1e-9)
    assert len(band_statistics.features(x[:300], RATE)) == 1
    assert len(band_statistics.features(0 * x, RATE)) == 0
    late = np.concatenate([np.zeros(3 * RATE), x])
    assert len(band_statistics.features(late, RATE)) < 6


def test_a_tone_is_in_its_band_at_any_rate() -> None:
    bands = len(band_statistics.centres())
    for rate in (8000, 16000, 22050, 44100):
        tone = np.sin(2 * np.pi * 1000 * np.arange(rate + 500) / rate)
        powers = band_statistics.band_powers(tone, rate)
        assert powers[3].sum() == pytest.approx(1, abs=1e-3)
        level = band_statistics.features(tone, rate)[0, :bands]
        assert abs(band_statistics.centres()[level.argmax()] - 1000) < 80
        assert np.allclose(level[band_statistics.centres() > rate / 2 * 1.1], -50)


def test_sets_are_ranked(folders: tuple[str, str, str]) -> None:
    real, good, bad = folders
    found = audiosim.compare_sets(real, bad, good)
    assert [one.name for one in found.sets] == ["good", "bad"]
    near, far = (one.distances for one in found.sets)
    assert far.frechet.value > 3 * near.frechet.value
    assert far.kernel.value > near.kernel.value
    assert far.coverage.value < near.coverage.value
    assert (found.recordings, found.points, found.embedding) == (COUNT, 2 * COUNT, "bands-1")
    assert any("18 points of 102 features" in note for note in found.sets[0].notes)
    same = audiosim.compare_sets(real, real).sets[0].distances
    assert same.frechet.value < 1e-8
    assert (same.precision.value, same.coverage.value, same.divergence) == (1, 1, 0)


def test_the_same_bits_on_any_number_of_threads_and_from_the_disk(folders: tuple[str, str, str]) -> None:
    real, good, _ = folders
    told: list[Any] = []
    rows = [
        audiosim.compare_sets(real, good, **given).sets[0].row()
        for given in ({"keep": False, "jobs": 1}, {"jobs": 3}, {"jobs": 2, "progress": lambda *x: told.append(x)})
    ]
    assert len({json.dumps(row) for row in rows}) == 1
    assert told[-1] == (2 * COUNT, 2 * COUNT)


def test_what_was_computed_is_kept_by_content(folders: tuple[str, str, str]) -> None:
    real, good, _ = folders
    asked: list[str] = []

    def counted(signal: Signal) -> Any:
        asked.append(signal.name)
        return plain(signal)

    def compared(by: Any) -> float:
        return audiosim.compare_sets(real, good, embedding=by, draws=0).sets[0].distances.frechet.value

    first = compared(Embedding(counted, "plain-1"))
    assert len(asked) == 2 * COUNT
    Path(real, "0.wav").rename(Path(real, "other name.wav"))
    audio.save(Path(good, "0.wav"), sound(77))
    assert compared(Embedding(counted, "plain-1")) != first
    assert len(asked) == 2 * COUNT + 1
    compared(Embedding(counted, "plain-2"))
    compared(counted)
    assert len(asked) == 6 * COUNT + 1


def test_signals_and_sets_by_name() -> None:
    found = audiosim.compare_sets(
        [sound(i) for i in range(8)],
        {"a": [sound(i, 0.5) for i in range(20, 28)], "b": [sound(i) for i in range(40, 48)]},
    )
    assert [one.name for one in found.sets] == ["b", "a"]
    assert set(found.sets[1].influence) == {f"{i}.wav" for i in range(20, 28)}


def test_what_cannot_be_compared(folders: tuple[str, str, str], tmp_path: Path) -> None:
    real, good, _ = folders
    (tmp_path / "empty").mkdir()
    for given, error, said in (
        ((real, str(tmp_path / "none")), InputError, "no such folder"),
        ((real, str(tmp_path / "empty")), NothingToCompare, "no recording below .*empty"),
        ((real, [np.zeros(5)]), UsageError, "paths and Signals"),
        ((real, {}), UsageError, "sets by name"),
    ):
        with pytest.raises(error, match=said):
            audiosim.compare_sets(*given)
    for wrong, said in ((np.zeros(3), "not .point, feature"), (np.full((2, 2), np.nan), "NaN")):
        with pytest.raises(UsageError, match=said):
            audiosim.compare_sets(real, good, embedding=lambda _, wrong=wrong: wrong)
    with pytest.raises(UsageError, match="function"):
        audiosim.compare_sets(real, good, embedding=5)


def test_the_working_directory_is_a_set(
    folders: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, good, _ = folders
    monkeypatch.chdir(good)
    (one,) = audiosim.compare_sets(real, ".").sets
    assert one.name == "."
    assert one.distances.frechet.value > 0


def test_command(folders: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sets", *folders, "--format", "table"]) == 0
    shown = capsys.readouterr()
    assert "9 recordings, 18 points (bands-1)" in shown.out
    assert [line.split()[:2] for line in shown.out.splitlines()[2:4]] == [["good", "9"], ["bad", "9"]]
    assert "good: the reference has 18 points of 102 features" in shown.err
    out = tmp_path / "out.csv"
    assert run(["sets", *folders, "-q", "--draws", "0", "-o", str(out)]) == 0
    assert not capsys.readouterr().err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["set"] for row in rows] == ["good", "bad"]
    assert rows[0]["frechet_low"] == ""
    assert float(rows[0]["frechet"]) > 0
    assert run(["sets", *folders, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"] == {"reference": folders[0], "recordings": COUNT, "points": 2 * COUNT}
    assert found["sets"][0]["frechet"] == float(rows[0]["frechet"])
    assert len(found["sets"][0]["influence"]) == COUNT


def test_command_says_what_is_wrong(
    folders: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, good, _ = folders
    Path(good, "broken.wav").write_bytes(b"RIFF")
    audio.save(Path(good, "silent.wav"), Signal.of(np.zeros((1, RATE)), RATE))
    assert run(["sets", real, good]) == 3
    said = capsys.readouterr().err
    assert "broken.wav" in said
    assert "1 recording is without a sound, and in no set: silent.wav" in said
    assert run(["sets", real]) == 2
    assert "a folder of references and one or more" in capsys.readouterr().err
    assert run(["sets", real, str(tmp_path / "none")]) == 3
    assert run(["sets", real, good, "--nearest", "0"]) == 2
    assert run(["sets", real, good, "--format", "junit"]) == 2
