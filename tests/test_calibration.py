"""Summaries of a user's own recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiosim import audio, domain, metrics
from audiosim.calibration import calibrate
from audiosim.cli import run
from audiosim.errors import NothingToCompare, UsageError
from audiosim.signal import Signal

RATE = 16000


def hum(seed: int) -> Signal:
    rng = np.random.default_rng(seed)
    t = np.arange(int(1.3 * RATE)) / RATE
    x = sum(np.sin(2 * np.pi * k * rng.uniform(95, 105) * t) / k for k in range(1, 60))
    return Signal.of(0.03 * (x + rng.normal(size=t.size)), RATE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for i in range(20):
        file = tmp_path / "hums" / f"machine {i % 5}" / f"{i}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        audio.save(file, hum(i))
    yield tmp_path / "hums"
    domain.summary.cache_clear()


def test_the_metric_goes_by_it_from_then_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = hum(77).samples
    domain.summary.cache_clear()
    assert metrics.get("stoi").compute(x, x, RATE).domain != "ok"
    assert run(["models", "calibrate", "stoi", str(folder)]) == 0
    assert "stoi now goes by 20 recordings" in capsys.readouterr().err
    assert metrics.get("stoi").compute(x, x, RATE).domain == "ok"
    assert metrics.get("warp-q").compute(x, x, RATE).domain != "ok"
    audio.save(folder / "silent.wav", Signal.of(np.zeros((1, RATE)), RATE))
    found = calibrate("stoi", str(folder))
    assert (found.recordings, found.groups) == (20, 5)
    assert found.unread == ("silent.wav: is silent",)
    assert found.file == domain.folder() / "domain_stoi.json"


def test_what_cannot_be_calibrated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"snr has no domain of single recordings.*pesq"):
        calibrate("snr", str(folder))
    with pytest.raises(NothingToCompare, match="16 recordings that can be used; 20 are the least"):
        calibrate("stoi", str(folder), exclude=["machine 3/*"])
    assert run(["models", "calibrate", "stoi"]) == 2
    assert "needs a metric and a folder" in capsys.readouterr().err
