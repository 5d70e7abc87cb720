"""What happened at places, with synthesised truth: dropouts, clicks, clipping, buffers, edits, noise, hum, tails."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from audiosim.diagnosis import Finding, Place, clipping, diagnose, timeline, timing
from audiosim.diagnosis.aligned import Aligned
from audiosim.diagnosis.places import find
from audiosim.signal import Signal
from tests.diagnosis import degradations

RATE = 16000


@pytest.fixture(scope="module")
def speech() -> Any:
    return degradations.speech(RATE, 6.0, 3)


def found(x: Any, y: Any, **more: Any) -> dict[str, Finding]:
    """By cause, of a pair that is aligned."""
    n = min(x.shape[1], y.shape[1])
    x, y = (np.ascontiguousarray(z[:, :n]) for z in (x, y))
    return {f.cause: f for f in find(Aligned(x, y, RATE, **more))}


def diagnosed(x: Any, y: Any) -> dict[str, Finding]:
    """By cause, of a pair as it is given."""
    pair = [Signal.of(np.ascontiguousarray(z, np.float32), RATE) for z in (x, y)]
    return {f.cause: f for f in diagnose(*pair).findings}


def loud(x: Any, count: int, apart: float = 0.5) -> list[int]:
    """Samples in the middle of loud stretches of 40 ms, at least so many s apart."""
    size = round(0.04 * RATE)
    power = (x[0, : x.shape[1] // size * size].reshape(-1, size) ** 2).mean(axis=1)
    chosen: list[int] = []
    for k in np.argsort(-power):
        at = int(k) * size
        if all(abs(at - other) > apart * RATE for other in chosen) and RATE < at < x.shape[1] - RATE:
            chosen.append(at)
    return sorted(chosen[:count])


def test_nothing_is_found_where_nothing_happened(speech: Any) -> None:
    assert not found(speech, speech)
    assert not find(Aligned(speech[:, :100], speech[:, :100], RATE))
    assert not found(speech, np.zeros_like(speech))


def test_dropouts_are_counted_and_placed(speech: Any) -> None:
    y, at = speech.copy(), loud(speech, 3)
    for k in at:
        y[:, k : k + round(0.04 * RATE)] = 0
    told = found(speech, y, offset=2.0, test_offset=5.0)
    assert set(told) == {"dropout"}
    drop = told["dropout"]
    assert drop.count == 3
    for place, k in zip(drop.places, at, strict=True):
        assert place.start == pytest.approx(2 + k / RATE, abs=0.006)
        assert place.test_start == pytest.approx(5 + k / RATE, abs=0.006)
    assert drop.sentence.startswith("3 dropouts of ")
    assert drop.share == pytest.approx(1, abs=0.05)


def test_clicks_are_no_dropouts(speech: Any) -> None:
    y, at = speech.copy(), [16000, 40000, 70000]
    y[:, at] += 0.4
    told = found(speech, y)
    assert set(told) == {"click"}
    assert [p.start for p in told["click"].places] == pytest.approx([k / RATE for k in at], abs=0.004)
    assert told["click"].size == pytest.approx(20 * np.log10(0.4), abs=0.1)


def test_clipping_is_told_with_its_level(speech: Any) -> None:
    most = 0.5 * float(np.abs(speech).max())
    told = diagnosed(speech, np.clip(speech, -most, most))
    assert set(told) == {"clipping"}
    assert told["clipping"].size == pytest.approx(20 * np.log10(most), abs=0.1)


def test_a_clipped_peak_is_one_place_wherever_blocks_end(speech: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.clip(speech, -0.1, 0.1)
    whole = diagnosed(speech, y)["clipping"]
    monkeypatch.setattr(clipping, "BLOCK", 1001)
    assert diagnosed(speech, y)["clipping"] == whole


def test_many_clipped_peaks_take_little_memory() -> None:
    size = 500_000
    runs = np.stack([4 * np.arange(size), 2 + np.arange(size) % 2])
    of = clipping.Clipped(0.5, 0.5, True, runs)
    tracemalloc.start()
    told = clipping.finding([of], RATE, (0.0, 0.0), None, shown=3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < runs.nbytes
    assert (told.count, told.detail["samples"]) == (size, int(runs[1].sum()))
    assert [round(p.start * RATE) for p in told.places] == [4, 12, 20]  # the first of the longest


@pytest.mark.parametrize("seconds", [0.25, 0.512])
def test_silence_that_was_inserted(speech: Any, seconds: float) -> None:
    at, more = loud(speech, 1)[0], round(seconds * RATE)
    y = np.concatenate([speech[:, :at], np.zeros((1, more)), speech[:, at:]], axis=1)
    told = diagnosed(speech, y)
    assert set(told) == {"silence inserted"}
    (place,) = told["silence inserted"].places
    assert place.test_start == pytest.approx(at / RATE, abs=0.005)
    assert place.test_end - place.test_start == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(("seconds", "cause"), [(0.06, "lost"), (0.6, "edit")])
def test_what_is_missing(speech: Any, seconds: float, cause: str) -> None:
    at = 2 * RATE
    told = diagnosed(speech, without(speech, at, seconds))
    (place,) = told[cause].places
    assert place.start == pytest.approx(at / RATE, abs=0.01)
    assert place.end - place.start == pytest.approx(seconds, abs=0.001)
    assert "missing" in told[cause].sentence


@pytest.mark.parametrize(("module", "name", "noise"), [(timeline, "_delays", 0.0), (timing, "_search", 0.003)])
def test_a_cut_needs_no_search(
    speech: Any, module: Any, name: str, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lengths tell what is missing, and the pieces' own delays that no clocks differ."""

    def search(*_: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(module, name, search)
    y = without(speech, 2 * RATE, 0.6)
    y = y + noise * np.random.default_rng(1).standard_normal(y.shape)
    assert "edit" in diagnosed(speech, y)


@pytest.mark.parametrize(("seconds", "at"), [(0.06, 4.52), (0.6, 2.0), (0.6, 3.2)])
def test_nothing_else_is_told_of_what_is_missing(speech: Any, seconds: float, at: float) -> None:
    told = diagnosed(speech, without(speech, round(at * RATE), seconds))
    assert set(told) == {"lost" if seconds < 0.2 else "edit"}


@pytest.mark.parametrize("seconds", [0.3, 1.0])
@pytest.mark.parametrize("from_end", [-5.85, -5.4, -4.4, 1.5, 1.1, 0.8, 0.5, 0.3, 0.15])
def test_a_cut_near_either_end(speech: Any, seconds: float, from_end: float) -> None:
    at = 6.0 + from_end if from_end < 0 else 6.0 - seconds - from_end
    told = diagnosed(speech, without(speech, round(at * RATE), seconds))
    assert set(told) == {"edit"}
    (place,) = told["edit"].places
    assert place.start == pytest.approx(at, abs=0.01)
    assert told["edit"].size == pytest.approx(1000 * seconds, abs=0.1)


@pytest.fixture(scope="module")
def bars(speech: Any) -> Any:
    """A loop of 1.5 s, eight times, with a quiet voice over it."""
    bar = degradations.music(RATE, 1.5, 1)[:1]
    return np.tile(bar, (1, 8)) + 0.03 * np.tile(speech, (1, 2))


@pytest.mark.parametrize("seconds", [0.06, 0.5, 1.5, 2.2])
@pytest.mark.parametrize("at", [1.0, 3.3, 8.9])
def test_a_cut_where_music_repeats_itself(bars: Any, seconds: float, at: float) -> None:
    told = diagnosed(bars, without(bars, round(at * RATE), seconds))
    assert set(told) == {"lost" if seconds < 0.2 else "edit"}
    (found,) = told.values()
    (place,) = found.places
    assert found.size == pytest.approx(1000 * seconds, abs=0.1)
    assert -0.01 < at - place.start < 0.01 + found.detail.get("later_s", 0.0)


def test_a_place_that_cannot_be_told_is_said_to_be_uncertain(speech: Any) -> None:
    """One of four equal bars is missing: any may be."""
    bars = np.tile(degradations.music(RATE, 1.5, 1)[:1], (1, 4))
    x = np.concatenate([speech[:, : 2 * RATE], bars, speech[:, 2 * RATE :]], axis=1)
    edit = diagnosed(x, without(x, 4 * RATE, 1.5))["edit"]
    (place,) = edit.places
    assert place.start < 2.01
    assert place.start + edit.detail["later_s"] > 6.4
    assert edit.size == pytest.approx(1500, abs=0.1)
    assert edit.confidence < 0.9
    assert "s later, as the sound repeats itself" in edit.sentence


@pytest.mark.parametrize(
    ("name", "strength", "cause"),
    [("delay", 23.02, "delay"), ("low-pass", 3400.0, "low-pass"), ("bell", 6.0, "equaliser")],
)
def test_cuts_beside_another_cause(name: str, strength: float, cause: str) -> None:
    x = degradations.speech(RATE, 12.0, 3)
    y = without(without(x, 9 * RATE, 0.7), 4 * RATE, 0.5)
    told = diagnosed(x, degradations.DEGRADATIONS[name].apply(y, RATE, strength, np.random.default_rng(2)).samples)
    assert {"edit", cause} <= set(told) <= {"edit", cause, "delay", "gain"}
    assert [p.start for p in told["edit"].places] == pytest.approx([4.0, 9.0], abs=0.08)
    assert told["edit"].size == pytest.approx(1200, abs=0.2)


def test_a_trimmed_end_is_no_edit(bars: Any, speech: Any) -> None:
    for x in (bars, speech):
        assert not diagnosed(x, x[:, : -round(0.7 * RATE)])


def without(x: Any, at: int, seconds: float) -> Any:
    return np.concatenate([x[:, :at], x[:, at + round(seconds * RATE) :]], axis=1)


def test_a_buffer_that_is_played_twice(speech: Any) -> None:
    at, more = loud(speech, 1)[0], round(0.06 * RATE)
    told = diagnosed(speech, np.concatenate([speech[:, :at], speech[:, at - more :]], axis=1))
    assert set(told) == {"repeated"}
    assert told["repeated"].size == pytest.approx(60, abs=0.5)


@pytest.mark.parametrize("db", [-20.0, -40.0])
def test_noise_has_a_level_and_a_colour(speech: Any, db: float) -> None:
    noise = np.random.default_rng(1).standard_normal(speech.shape)
    noise *= np.sqrt((speech**2).mean()) * 10 ** (db / 20)
    told = found(speech, speech + noise)
    assert set(told) == {"noise"}
    assert told["noise"].size == pytest.approx(db, abs=1)
    assert told["noise"].sentence == f"white noise {-db:.0f} dB below the reference"


@pytest.mark.parametrize("mains", [50, 60])
def test_hum(speech: Any, mains: int) -> None:
    t = np.arange(speech.shape[1]) / RATE
    hum = np.sum([np.sin(2 * np.pi * mains * k * t) / k for k in (1, 2, 3)], axis=0)
    hum *= np.sqrt((speech**2).mean() / (hum**2).mean()) * 10 ** (-24 / 20)
    told = found(speech, speech + hum)
    assert set(told) == {"hum"}
    assert told["hum"].detail["hz"] == mains
    assert told["hum"].size == pytest.approx(-24, abs=1.5)
    assert "with harmonics" in told["hum"].sentence


def test_reverberation(speech: Any) -> None:
    n = round(0.5 * RATE)
    tail = np.random.default_rng(2).standard_normal(n) * 10 ** (-3 * np.arange(n) / RATE / 0.5)
    tail[: round(0.01 * RATE)] = 0
    tail *= 0.25 / np.sqrt((tail**2).sum())
    tail[0] = 1
    size = speech.shape[1] + n
    y = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(tail, size), size)[:, : speech.shape[1]]
    told = found(speech, y)
    assert set(told) == {"reverberation"}
    assert told["reverberation"].size == pytest.approx(0.5, rel=0.4)


def test_a_tail_in_silent_pauses_is_no_noise(speech: Any) -> None:
    x = speech.copy()
    for at in range(0, x.shape[1], RATE):
        x[:, at : at + round(0.4 * RATE)] = 0
    y = degradations.reverberation(x, RATE, 2.0, np.random.default_rng(1)).samples
    assert set(found(x, y)) == {"reverberation"}


def test_tails_that_change_all_the_time_are_no_room(speech: Any) -> None:
    """As of a codec, whose noise comes after what it follows, within its frame."""
    rng = np.random.default_rng(3)
    y, size, n = speech.copy(), round(0.1 * RATE), round(0.3 * RATE)
    for at in range(0, speech.shape[1] - size - n, size):
        tail = rng.standard_normal(n) * 10 ** (-2 * np.arange(n) / n)
        tail[: round(0.02 * RATE)] = 0
        tail *= 0.35 / np.sqrt((tail**2).sum())
        y[0, at : at + size + n - 1] += np.convolve(speech[0, at : at + size], tail)
    assert "reverberation" not in found(speech, y)


def test_every_cause_of_places_has_words() -> None:
    place = Place(1.2, 1.25, 1.2, 1.25)
    for cause, unit in (("silence removed", "ms"), ("silence inserted", "ms"), ("lost", "ms"), ("repeated", "ms")):
        said = Finding(cause, 210.0, unit, (place,), 1).sentence  # type: ignore[arg-type]
        assert "0.210 s" in said
        assert "1.200 s" in said
