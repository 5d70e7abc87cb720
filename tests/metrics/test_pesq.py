"""pesq: the numbers of the published programs, where it hears what, and where it has no number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load, metrics
from audiosim.judge.explain import explain
from audiosim.result import Result
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, Array, added_noise, clipping, dropout, low_pass, noise, speech_like

RATE = 16000
BANDS = ("wide", "wide-cor2", "narrow", "narrow-8k")

pytestmark = pytest.mark.skipif(not COMPILED, reason="takes seconds of speech; tests/hearing holds its kernels")


def pesq(ref: Array, test: Array, band: str = "wide", rate: int = RATE, **options: Any) -> Result:
    spec = f"pesq:band={band}"
    return compare(ref, test, spec, rate, length="keep", **options)[spec]


def spoken(seed: int) -> Array:
    """Two times 1.6 s of speech among pauses of 0.5 s."""
    pause = 1e-4 * np.random.default_rng(seed).standard_normal(RATE // 2)
    parts = [speech_like(RATE, 1.6, seed + i)[0] for i in range(2)]
    return np.concatenate([pause, parts[0], pause, parts[1], pause])[None]


def inserted(x: Array, at: int, samples: int) -> Array:
    """With so much silence at a sample, or without what stood there."""
    silent = np.zeros((len(x), max(samples, 0)))
    return np.concatenate([x[:, :at], silent, x[:, at + max(-samples, 0) :]], axis=1)


def damaged(x: Array, damage: str) -> Array:
    return {
        "noise": lambda: added_noise(x, RATE, 0.1, 1),
        "low-pass": lambda: low_pass(x, RATE, 0.3),
        "clipping": lambda: clipping(x, RATE, 0.9),
        "dropout": lambda: dropout(x, RATE, 0.2),
        "later": lambda: np.concatenate([np.zeros((1, 500)), added_noise(x, RATE, 0.03, 2)], axis=1),
        "inserted": lambda: added_noise(inserted(x, 40000, 300), RATE, 0.02, 3),
        "dropped": lambda: added_noise(inserted(x, 40000, -400), RATE, 0.02, 4),
    }[damage]()


DAMAGES = ("noise", "low-pass", "clipping", "dropout", "later", "inserted", "dropped")


# The programs


@pytest.mark.parametrize(
    ("damage", "numbers"),
    [
        ("noise", (1.768577, 2.543491, 2.786317, 2.875057)),
        ("low-pass", (4.251002, 4.438277, 4.548536, 4.548543)),
        ("clipping", (1.173876, 1.732038, 3.102017, 3.222195)),
        ("dropout", (4.497725, 4.595242, 4.494348, 4.499909)),
        ("later", (3.011962, 3.563597, 3.454329, 3.498711)),
        ("inserted", (3.379402, 3.827089, 3.639507, 3.676274)),
        ("dropped", (3.383213, 3.799408, 3.613439, 3.650767)),
    ],
)
def test_numbers_of_the_original(damage: str, numbers: tuple[float, ...]) -> None:
    """pesq 0.0.4 and, for wide-cor2, pesqc2 0.0.4: pesq(rate, ref, test, "wb" or "nb") in float32; narrow-8k with both
    resampled by soxr 1.0 VHQ before."""
    x = spoken(1)
    for band, expected in zip(BANDS, numbers, strict=True):
        assert pesq(x, damaged(x, damage), band).value == pytest.approx(expected, abs=2e-4), band


def test_original_called_live() -> None:
    original = pytest.importorskip("pesq").pesq
    for seed in (3,):
        x = spoken(seed)
        for damage in DAMAGES:
            y = damaged(x, damage)
            for band, mode in (("wide", "wb"), ("narrow", "nb")):
                expected = original(RATE, x[0].astype(np.float32), y[0].astype(np.float32), mode)
                assert pesq(x, y, band).value == pytest.approx(expected, abs=0.02), (seed, damage, band)


def test_recorded_numbers(shared: Path) -> None:
    """pesq 0.0.4 and pesqc2 0.0.4 on files of 16 kHz; oracles/speech.json names the calls. All: tests/benchmarks."""
    folder, count = shared / "audio" / "speech", 0
    pairs = list(json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values())
    for pair in pairs[::8]:
        ref, test = (load(folder / pair[end]) for end in ("ref", "deg"))
        theirs = pair["metrics"]
        for spec, name in (
            ("pesq", "pesq.wb_mos_lqo"),
            ("pesq:scale=raw", "pesq.wb_raw"),
            ("pesq:band=wide-cor2", "pesqc2.wb_mos_lqo"),
            ("pesq:band=narrow", "pesq.nb_mos_lqo@16k"),
            ("pesq:band=narrow,scale=raw", "pesq.nb_raw@16k"),
            ("pesq:band=narrow-8k", "pesq.nb_mos_lqo@8k(resample_poly 1/2)"),
        ):
            ours = compare(ref, test, spec, length="keep", jobs=1)[spec].value
            jumps = "jump" in pair["id"] or pair["id"].startswith("real_")
            allowed = 0.025 if jumps else 0.01
            if "raw" in spec:  # bad scores lie closer together as opinions than as they are
                allowed = 0.1 if jumps else 0.02
            assert ours == pytest.approx(theirs[name], abs=allowed), (pair["id"], name)
        count += 1
    assert count >= 12


# What it hears


def test_mappings_end_where_the_standards_do() -> None:
    module: Any = metrics.get("pesq").module
    assert module.opinion(4.5, "wide") == pytest.approx(4.6439, abs=1e-4)
    assert module.opinion(4.5, "wide-cor2") == module.opinion(4.5, "wide")
    assert module.opinion(4.5, "narrow") == module.opinion(4.5, "narrow-8k") == pytest.approx(4.5486, abs=1e-4)
    x = spoken(1)
    assert compare(x, x, "pesq:scale=raw", RATE)["pesq:scale=raw"].value == 4.5


def test_delays_are_reported() -> None:
    """Of each utterance, and the least and the most; a constant one costs nothing."""
    x = spoken(1)
    later = np.concatenate([np.zeros((1, 1234)), x], axis=1)
    for a, b, sign in ((x, later, 1), (later, x, -1)):
        result = pesq(a, b)
        assert result.value > 4.6
        for name in ("delay_first_ms", "delay_least_ms", "delay_most_ms", "utterance_1_delay_ms"):
            assert result.details[name] == sign * 1234 / 16
    details = pesq(x, inserted(x, 34000, 320)).details
    assert details["delay_first_ms"] == details["delay_least_ms"] == 0
    assert details["delay_most_ms"] == 20
    count = int(details["utterances"])
    begins = [details[f"utterance_{i}_begins_s"] for i in range(1, count + 1)]
    delays = [details[f"utterance_{i}_delay_ms"] for i in range(1, count + 1)]
    assert begins[0] == 0
    assert sorted(begins) == begins
    assert begins[delays.index(20)] == pytest.approx(34000 / RATE, abs=0.25)
    both = pesq(np.repeat(x, 2, 0), np.repeat(x, 2, 0)).details
    assert not any(name.startswith("utterance_") for name in both), "those of one channel say nothing of the other"


def test_a_sentence_says_where() -> None:
    x = spoken(1)
    y, at = x.copy(), slice(int(1.2 * RATE), int(1.6 * RATE))
    rng = np.random.default_rng(1)
    hiss = np.fft.irfft(np.fft.rfft(rng.standard_normal(at.stop - at.start)) * band_of(at.stop - at.start, 1500, 2500))
    y[0, at] += 0.3 * hiss / np.abs(hiss).max()
    found = explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "pesq")
    region = found.regions[0]
    assert region.change == "louder"
    assert 1.1 <= region.start <= 1.3
    assert 1.5 <= region.end <= 1.7
    assert region.low >= 1200
    assert region.high <= 2900
    result = pesq(x, y, detail="map")
    assert result.map is not None
    assert result.added is not None
    assert (result.added <= result.map).all()
    assert result.added.sum() > 0.9
    missing = pesq(x, low_pass(x, RATE, 0.5), detail="map").added
    assert missing is not None
    assert missing.sum() < 0.1


def band_of(samples: int, low: float, high: float) -> Array:
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    return np.asarray((hz > low) & (hz < high), dtype=np.float64)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_are_resampled(rate: int) -> None:
    x = speech_like(rate, 2.0, 1)
    y = added_noise(x, rate, 0.1, 1)
    assert pesq(x, x, rate=rate).value == pytest.approx(4.6439, abs=1e-4)
    assert 1 < pesq(x, y, rate=rate).value < 3


def test_six_channels() -> None:
    x = np.repeat(spoken(1), 6, 0)
    y = x.copy()
    y[3] = added_noise(x[3:4], RATE, 0.1, 1)[0]
    result = pesq(x, y, detail="map")
    assert result.per_channel.shape == (6,)
    assert result.value == pytest.approx((5 * 4.643888 + 1.768577) / 6, abs=1e-3)


def test_where_it_has_no_number_it_says_why() -> None:
    x = spoken(1)
    silent, high = np.zeros_like(x), noise(RATE, 1.0, 1)
    high = np.fft.irfft(np.fft.rfft(high) * band_of(RATE, 7000, 8000), RATE)
    for ref, test, reason in [
        (silent, x, "the reference is silent between 350 and 3250 Hz"),
        (x, silent, "the test is silent between 350 and 3250 Hz"),
        (silent, silent, "the reference is silent between 350 and 3250 Hz"),
        (x[:, :3998], x, "0.25 s are needed, there are 0.25 s"),
        (x, x[:, :1], "0.25 s are needed"),
    ]:
        for band in BANDS:
            result = pesq(ref, test, band)
            assert result.status == "undefined"
            assert reason in str(result.reason)
    assert pesq(np.concatenate([x, silent]), np.concatenate([x, x]), detail="map").status == "undefined"
    assert pesq(x, 1e-3 * high).status in ("ok", "undefined")


def test_a_recording_longer_than_its_spectra() -> None:
    """The level of long recordings comes from parts; late disturbance counts more in recordings of more than 16 s."""
    x = np.tile(spoken(1), (1, 4))
    early, late = x.copy(), x.copy()
    half = x.shape[1] // 2
    hiss = 0.02 * np.random.default_rng(1).standard_normal(half)
    early[0, :half] += hiss
    late[0, -half:] += hiss
    assert pesq(x, late).value < pesq(x, early).value


# The surrogate that Loss minimises


def surrogate(ref: Array, test: Array, band: str) -> float:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    return float(Loss(f"pesq:band={band}", RATE)(torch.tensor(test[None]), torch.tensor(ref[None])))


@pytest.mark.parametrize("band", ["wide", "narrow-8k"])
def test_surrogate_is_about_what_the_raw_score_lacks(band: str) -> None:
    x = spoken(1)
    for damage in ("noise", "clipping"):
        y = damaged(x, damage)
        lacking = 4.5 - pesq(x, y, band).details["raw"]
        assert surrogate(x, y, band) == pytest.approx(lacking, abs=0.25), damage
    noisy = added_noise(x, RATE, 0.03, 2)
    later = np.concatenate([np.zeros((1, 500)), noisy], axis=1)[:, : x.shape[1]]
    assert surrogate(x, later, band) == pytest.approx(surrogate(x, noisy, band), abs=0.1)


def test_surrogate_follows_the_original(shared: Path) -> None:
    """The card's correlation is that of all pairs; here every eighth, against the recorded raw scores of pesq 0.0.4."""
    folder, numbers = shared / "audio" / "speech", []
    pairs = list(json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values())
    for pair in pairs[::8]:
        ref, test = (load(folder / pair[end]).samples for end in ("ref", "deg"))
        n = min(ref.shape[1], test.shape[1])
        numbers.append((-surrogate(ref[:, :n], test[:, :n], "wide"), pair["metrics"]["pesq.wb_raw"]))
    assert np.corrcoef(np.transpose(numbers))[0, 1] > 0.97
