"""Where, when and how: planted differences are found again."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.judge import explain as explaining
from audiosim.judge.explain import _region, explain, frequencies, narrowest
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, noise, speech_like

RATE = 16000
pytestmark = pytest.mark.skipif(not COMPILED, reason="needs seconds of sound, too slow uncompiled")


def pair(change, seconds=3.0):
    ref = noise(RATE, seconds, 1)
    return Signal.of(ref, RATE), Signal.of(change(ref), RATE)


def band(x, low, high):
    spectrum = np.fft.rfft(x, axis=1)
    f = np.fft.rfftfreq(x.shape[1], 1 / RATE)
    return np.fft.irfft(np.where((f >= low) & (f < high), spectrum, 0), x.shape[1], axis=1)


def during(x, start, end):
    t = np.arange(x.shape[1]) / RATE
    return np.where((t >= start) & (t < end), x, 0.0)


def test_identical_files_have_no_regions():
    found = explain(*pair(lambda x: x.copy()), "mse")
    assert found.sentence == "this metric finds no difference"
    assert found.regions == ()
    assert found.per_band.size == found.per_time.size == found.map.size == 0


def test_a_metric_without_bands_tells_when():
    def dropped(x):
        y = x.copy()
        y[:, 2 * RATE : 2 * RATE + 400] = 0
        return y

    told = "this metric does not tell in which bands"
    assert explain(*pair(lambda x: x.copy()), "glitches").sentence == told
    found = explain(*pair(dropped), "glitches").sentence
    assert found.startswith(f"{told}; over time, it is worst at ")
    assert float(found.split()[-2]) == pytest.approx(2.0, abs=0.05)


def test_silence_has_a_reason():
    found = explain(*pair(np.zeros_like)[::-1], "si-sdr")
    assert found.sentence.startswith("no value: ")
    assert found.regions == ()


@pytest.mark.parametrize(("gain", "change"), [(0.5, "quieter"), (2.0, "louder")])
def test_a_planted_change_is_found(gain, change):
    found = explain(*pair(lambda x: x + (gain - 1) * during(band(x, 2000, 4000), 1.0, 1.5)), "mse")
    worst = found.regions[0]
    assert worst.change == change
    assert worst.level_db == pytest.approx(20 * np.log10(gain), abs=2.0)  # its edges lie on a grid
    assert worst.start == pytest.approx(1.0, abs=0.1)
    assert worst.end == pytest.approx(1.5, abs=0.1)
    assert worst.low == pytest.approx(2000, rel=0.15)
    assert worst.high == pytest.approx(4000, rel=0.15)
    assert worst.share > 0.8
    assert found.sentence.endswith(f"where the test is {change}")
    assert "kHz, mostly 1." in found.sentence


def test_shares_add_up_and_regions_do_not_overlap():
    found = explain(*pair(lambda x: x + 0.1 * during(noise(RATE, 3.0, 2), 0.5, 2.0)), "mse")
    assert found.per_band.sum() == pytest.approx(1.0)
    assert found.per_time.sum() == pytest.approx(1.0)
    assert 1 <= len(found.regions) <= 5
    assert sum(r.share for r in found.regions) <= 1.0 + 1e-9
    assert [r.share for r in found.regions] == sorted((r.share for r in found.regions), reverse=True)
    for i, a in enumerate(found.regions):
        for b in found.regions[:i]:
            assert a.end <= b.start or b.end <= a.start or a.high <= b.low or b.high <= a.low


def test_two_events_are_two_regions():
    def change(x):
        quieter = during(band(x, 2000, 4000), 0.5, 1.0)
        return x - 0.8 * quieter + 0.8 * during(band(noise(RATE, 3.0, 2), 1000, 4000), 2.0, 2.5)

    first, second = explain(*pair(change), "log-mel").regions[:2]
    early, late = sorted((first, second), key=lambda r: r.start)
    assert early.end < 1.2
    assert (early.change, late.change) == ("quieter", "louder")
    assert late.start > 1.8
    assert first.share + second.share > 0.8


def test_an_even_difference_is_everywhere():
    found = explain(*pair(lambda x: 0.5 * x), "log-mel")
    assert found.sentence == "the distance is spread over all frequencies, all the time, where the test is quieter"


def test_one_sided_sound_is_named():
    gap = explain(*pair(lambda x: x - during(x, 1.0, 2.0)), "mse")
    assert gap.sentence.endswith("where only the reference sounds")
    added = explain(*pair(lambda x: x - during(x, 1.0, 2.0))[::-1], "mse")
    assert added.sentence.endswith("where only the test sounds")
    assert added.regions[0].level_db > 10


@pytest.mark.parametrize("spec", ["auditory", "auditory:ask=quality", "log-mel"])
@pytest.mark.parametrize("silent", ["reference", "test"])
def test_silence_has_no_timbre(spec, silent):
    x = speech_like(RATE, 1.0, seed=1)
    pair = (x, 0 * x) if silent == "test" else (0 * x, x)
    said = explain(*(Signal.of(s, RATE) for s in pair), spec).sentence
    deaf = spec.endswith("quality") and silent == "reference"  # it asks what is missing
    assert said == "this metric finds no difference" if deaf else said.startswith(f"the {silent} is silent; ")
    assert not any(word in said for word in ("smoother", "rougher", "attack", "steadier", "energy comes"))


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_the_shortest_inputs_are_explained(length):
    ref = noise(RATE, 0.1, 1)[:, :length]
    found = explain(Signal.of(ref, RATE), Signal.of(0.5 * ref, RATE), "mse")
    assert found.sentence


def test_narrowest_is_the_shortest_run():
    assert narrowest(np.array([1.0, 1.0, 6.0, 2.0]), 0.7) == (2, 4)
    assert narrowest(np.array([1.0]), 0.7) == (0, 1)
    assert narrowest(np.ones(10), 0.7) == (0, 7)
    assert narrowest(np.array([0.0, 0.0, 3.0]), 0.7) == (2, 3)


def test_frequencies_are_said_as_people_do():
    assert frequencies(4000, 8000) == "4-8 kHz"
    assert frequencies(250, 512) == "250-510 Hz"
    assert frequencies(880, 1210) == "0.88-1.2 kHz"


def test_every_card_makes_a_page():
    from audiosim import metrics

    for name in metrics.names():
        rows = [row for part in explaining.card_parts(name).values() for row in part]
        assert rows[0] == ("metric", name)
        assert all(isinstance(text, str) and text for _, text in rows)
        assert len({field for field, _ in rows}) == len(rows), "a field stands there twice"


def test_the_gradient_points_at_a_planted_change():
    pytest.importorskip("torch")
    found = explain(*pair(lambda x: x - during(band(x, 2000, 4000), 1.0, 1.5)), "mse", gradient=True)
    worst = found.regions[0]
    assert (worst.start, worst.end) == pytest.approx((1.0, 1.5), abs=0.1)
    assert (worst.low, worst.high) == pytest.approx((2000, 4000), rel=0.15)
    assert "% of the gradient lies at" in found.sentence
    assert found.result.value == explain(*pair(lambda x: x - during(band(x, 2000, 4000), 1.0, 1.5)), "mse").result.value


def test_no_gradient_at_the_minimum():
    pytest.importorskip("torch")
    assert explain(*pair(lambda x: x.copy()), "log-mel", gradient=True).sentence.startswith("the gradient is zero")
    assert explain(*pair(np.zeros_like)[::-1], "esr", gradient=True).sentence.startswith("no value: ")


def test_the_gradient_of_a_quiet_channel_is_there():
    """Every channel has its share, in stereo too."""
    pytest.importorskip("torch")
    ref = noise(RATE, 1.0, 1, 2)
    test = np.stack([ref[0], 0.5 * ref[1]])
    found = explain(Signal.of(ref, RATE), Signal.of(test, RATE), "mse", gradient=True)
    assert found.map.sum() == pytest.approx(1.0)


def test_a_metric_that_tells_them_apart_says_added_or_missing():
    def change(x):
        return x - during(band(x, 500, 1500), 0.5, 1.0) + during(5 * band(noise(RATE, 3.0, 2), 4000, 6000), 2.0, 2.1)

    found = explain(*pair(change), "tversky")
    assert {part.split(" (")[0] for part in found.sentence.split("; ")} == {"added energy", "missing energy"}
    assert found.result.added is not None
    early, late = sorted(found.regions[:2], key=lambda r: r.start)
    assert (early.change, late.change) == ("quieter", "louder")
    quieter = explain(*pair(lambda x: 0.5 * x), "tversky")
    assert quieter.sentence.startswith("missing energy (100 % of the distance) dominates ")
    assert quieter.sentence.endswith(" all the time")


def test_what_the_level_contradicts_is_called_different():
    """A metric that evens out gain may miss in the test what is louder there than in the reference."""
    comparison = explain(*pair(lambda x: 2 * x), "tversky").comparison
    for gained, change in ((0.1, "different"), (0.9, "louder"), (0.5, "different")):
        assert _region((0.0, 1.0), (100.0, 4000.0), 0.5, comparison, gained).change == change


def test_the_gradient_is_not_told_added_from_missing():
    pytest.importorskip("torch")
    found = explain(*pair(lambda x: 0.5 * x), "tversky", gradient=True)
    assert found.result.added is None
    assert "the gradient" in found.sentence
    assert found.regions[0].change == "quieter"
