"""What happens to a whole recording is told, with its size; what does not happen is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from audiosim.diagnosis import CAUSES, Diagnosis, Finding, diagnose, tempo
from audiosim.diagnosis.null import bit_depth, null_test, residual
from audiosim.errors import Mismatch
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, noise, speech_like, sweep
from tests.diagnosis.degradations import DEGRADATIONS, HARMLESS, PLACES, SIGNALS, UNRELATED, Case, cases, coded

SECONDS = (3.0,)
WITHOUT = {"drift", "speed", "tempo", "pitch"}  # take longest; tests/benchmarks/diagnosis.py holds all, of all lengths


def signal(samples: object, rate: int = 16000) -> Signal:
    return Signal.of(np.ascontiguousarray(samples, np.float32), rate)


def applied(name: str, x: np.ndarray, rate: int, strength: float) -> np.ndarray:
    return DEGRADATIONS[name].apply(x, rate, strength, np.random.default_rng(1)).samples


def told(case: Case) -> Diagnosis:
    return diagnose(signal(case.ref, case.rate), signal(*case.test))


PLACES_TEST = {*PLACES, "clipping", "noise", "hum", "reverberation"}  # test_places.py holds these
WHOLE = DEGRADATIONS.keys() - PLACES_TEST


@cache
def grid() -> list[Case]:
    return list(cases([0], SECONDS, combined=False, kinds=("speech", "music") if COMPILED else ("speech",)))


@pytest.mark.parametrize("name", sorted(WHOLE - (set() if COMPILED else WITHOUT)))
def test_what_happened_is_found_and_measured(name):
    for case in [c for c in grid() if c.names == (name,)]:
        found = told(case)
        d = DEGRADATIONS[name]
        assert d.right & set(found.causes), (case.signal, case.labels)
        assert set(found.causes) <= case.allowed, (case.signal, case.labels, found.sentences)
        sizes = [f.size for f in found.findings if f.cause in d.right and f.size is not None]
        if d.within and sizes and name in case.sizes:
            truth = case.sizes[name]
            assert min(abs(s - truth) for s in sizes) <= max(d.within[0], d.within[1] * abs(truth)), case.labels


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_raises_no_alarm(name):
    for case in [c for c in grid() if c.names == (name,)]:
        assert set(told(case).causes) <= case.allowed, case.signal


def test_a_gain_is_told_beside_another_tempo():
    case = next(c for c in grid() if c.names == ("tempo",))
    found = diagnose(signal(case.ref, case.rate), signal(0.5 * case.test[0], case.rate))
    assert set(found.causes) == {"tempo", "gain"}
    assert next(f.size for f in found.findings if f.cause == "gain") == pytest.approx(-6.02, abs=0.5)
    assert "faster at the same pitch (time stretching)" in found.sentences[0]


@pytest.mark.parametrize(("cause", "ratio"), [("compression", 2.0), ("compression", 4.0), ("expansion", 2.0)])
def test_the_ratio_of_dynamics_is_estimated(cause, ratio):
    case = next(c for c in grid() if c.labels == (f"{cause} {ratio:g}",))
    (found,) = [f for f in told(case).findings if f.cause == cause]
    said = found.detail["ratio"]
    if cause == "compression":  # dB of the output for one of the input
        assert 1 / said == pytest.approx(1 / ratio, abs=0.2)
    else:
        assert said == pytest.approx(ratio, rel=0.35)
    assert f"about {'1:' if cause == 'expansion' else ''}{said:.1f}" in found.sentence


def test_a_gain_that_moves_is_told_with_its_range():
    case = next(c for c in grid() if c.labels == ("moving gain 6",))
    (found,) = [f for f in told(case).findings if f.cause == "moving gain"]
    assert 2 < found.size < 6.5  # 3 s of 5 s
    assert found.detail["to_db"] - found.detail["from_db"] == pytest.approx(found.size, abs=0.11)
    assert found.sentence.startswith("the gain changes over time, from -")


def test_traces_of_codecs_have_words():
    holes = Finding("band holes", 3.2, "%", detail={"low_hz": 1200, "high_hz": 8000})
    assert "3.2 % of what is between 1.2 kHz and 8.0 kHz" in holes.sentence
    echo = Finding("pre-echo", 18.0, "dB", detail={"onsets": 4, "of": 11})
    assert "noise before 4 of 11 onsets, 18 dB more" in echo.sentence


def test_unrelated_recordings_are_told():
    for case in [c for c in grid() if c.names == (UNRELATED,)]:
        assert told(case).causes == ("unrelated",)


def test_identical_recordings_have_no_findings():
    x = signal(noise(16000, 1.0, 1, 2))
    found = diagnose(x, x)
    assert found.findings == ()
    assert found.left_db is None
    assert found.null is not None
    assert asdict(found.null) == {
        "samples": 32000,
        "differing": 0,
        "first_sample": None,
        "first": None,
        "peak_dbfs": None,
        "rms_dbfs": None,
        "bits": None,
    }


def test_the_null_test_counts():
    x = np.zeros((2, 1000))
    y = x.copy()
    y[1, 700], y[0, 800] = 0.25, -0.5
    found = null_test(signal(x, 1000), signal(y, 1000))
    assert found is not None
    assert (found.samples, found.differing, found.first_sample, found.first) == (2000, 2, 700, 0.7)
    assert found.peak_dbfs == pytest.approx(-6.0206, abs=1e-4)
    assert found.rms_dbfs == pytest.approx(10 * np.log10((0.0625 + 0.25) / 2000))
    assert found.bits == 1


def test_the_null_test_needs_one_rate_and_as_many_channels():
    x = signal(noise(16000, 0.1, 1, 2))
    assert null_test(x, signal(x.samples, 8000)) is None
    assert null_test(x, signal(x.samples[:1])) is None
    for other in (signal(x.samples, 8000), signal(x.samples[:1])):
        with pytest.raises(Mismatch):
            residual(x, other)


def test_the_residual_is_the_test_minus_the_reference_as_far_as_both_go():
    x, y = noise(16000, 0.2, 1), noise(16000, 0.1, 2)
    e = residual(signal(x), signal(y))
    assert e.rate == 16000
    np.testing.assert_array_equal(e.samples, y.astype(np.float32) - x[:, : y.shape[1]].astype(np.float32))


@pytest.mark.parametrize("bits", [8, 12, 16, 20, 24])
def test_the_bits_of_samples_are_counted(bits):
    x = np.round(noise(16000, 0.1, 1) * 2 ** (bits - 1)) / 2 ** (bits - 1)
    assert bit_depth(x) == bits
    assert bit_depth(x.astype(np.float32)) == bits


def test_no_bits_are_counted_where_there_is_no_grid():
    assert bit_depth(noise(16000, 0.1, 1)) is None
    assert bit_depth(np.zeros((1, 100))) is None


@pytest.mark.parametrize("length", [1, 2, 63, 300, 511, 512, 3000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_two_recordings_have_a_diagnosis(length, channels):
    odd = [
        noise(8000, 1.0, 1, channels)[:, :length],
        np.zeros((2, 700)),
        np.full((1, 600), 0.5),
        1e-20 * noise(8000, 1.0),
    ]
    for k, x in enumerate(odd):
        for m, y in enumerate(odd):
            found = diagnose(signal(x, (8000, 96000)[m % 2]), signal(y, (8000, 96000)[k % 2]))
            json.dumps(found.to_dict(), allow_nan=False)
            assert all(found.sentences)
            assert set(found.causes) <= set(CAUSES)


def test_a_silent_test_is_told():
    x = signal(noise(16000, 1.0, 1, 2))
    assert diagnose(x, signal(0 * x.samples)).sentences == ["the test is silent"]


def test_the_same_input_has_the_same_diagnosis():
    x = SIGNALS["speech"].make(16000, 3.0, 1)
    pair = signal(x), signal(0.7 * x[:, 100:] + 0.01 * noise(16000, 3.0, 2)[:, : x.shape[1] - 100])
    assert diagnose(*pair).to_dict() == diagnose(*pair).to_dict()


def test_a_delay_is_told_in_words():
    x = SIGNALS["speech"].make(48000, 3.0, 1)
    (said, *_) = diagnose(signal(x, 48000), signal(np.pad(x, ((0, 0), (1105, 0))), 48000)).sentences
    assert said == "the test is 23.02 ms (1105 samples) late"


def test_a_clip_is_found_in_its_source():
    x = SIGNALS["wide speech"].make(16000, 20.0 if COMPILED else 8.0, 1)
    clip = x[:, 32000:80000]
    found = diagnose(signal(x), signal(clip))
    assert found.causes == ("excerpt",)
    assert found.findings[0].size == pytest.approx(2.0, abs=1e-4)
    assert diagnose(signal(clip), signal(x)).causes == ("excerpt",)


def test_loudness_normalisation_is_told_by_its_target():
    from audiosim.hearing import programme

    x = signal(SIGNALS["music"].make(16000, 3.0, 1), 16000)
    gain = -16.0 - programme.of(x)
    found = diagnose(x, signal(x.samples * 10 ** (gain / 20)))
    assert found.causes == ("loudness normalisation",)
    assert found.findings[0].size == pytest.approx(gain, abs=0.01)
    assert found.sentences[0].endswith("normalised to -16 LUFS")


def test_shares_are_of_the_difference():
    x = SIGNALS["music"].make(16000, 3.0, 1)
    for y in (-0.5 * x, np.pad(0.8 * x, ((0, 0), (300, 0))), x[::-1]):
        shares = [f.share for f in diagnose(signal(x), signal(y)).findings if f.share is not None]
        assert 0.98 < sum(shares) <= 1.001
        assert shares == sorted(shares, reverse=True)


def test_what_is_minor_stands_last_in_one_line():
    x = SIGNALS["speech"].make(16000, 4.0, 1)
    y = 0.97 * np.pad(x, ((0, 0), (100, 0))) + 0.0004 + 0.02 * noise(16000, 5.0, 2)[:, : x.shape[1] + 100]
    found = diagnose(signal(x), signal(y))
    assert found.causes[0] == "delay"
    assert [f.cause for f in found.findings if f.minor] == ["dc"]
    assert found.sentences[-2].startswith("also: the test sits on a constant")
    alone = diagnose(signal(x), signal(x + 0.0004))
    assert [(f.cause, f.minor) for f in alone.findings] == [("dc", False)]


def test_an_edit_has_its_share():
    x = SIGNALS["speech"].make(16000, 5.0, 1)
    found = diagnose(signal(x), signal(0.9 * np.concatenate((x[:, :32000], x[:, 44000:]), axis=1)))
    assert found.causes == ("edit", "gain")
    assert found.findings[0].share > 0.9


def test_a_tempo_at_the_end_of_the_search_and_beyond() -> None:
    x = speech_like(16000, 4.0, 1)
    for factor in (tempo.FASTER, 1.03 * tempo.FASTER):
        at = np.arange(int(x.shape[1] / factor)) * factor
        found = tempo.tempo(x, np.interp(at, np.arange(x.shape[1]), x[0])[None], 16000)
        assert found is None or abs(found.factor / factor - 1) < 0.01


def test_an_exchange_of_channels_that_hold_one_sound_at_two_times() -> None:
    """Spaced microphones: it would pass for a delay by the way between them."""
    x = speech_like(16000, 3.0, 0)[0]
    ref = np.stack([x[17:], x[:-17]]) + 0.01 * noise(16000, 3.0, 1, 2)[:, 17:]
    assert diagnose(signal(ref), signal(ref[::-1])).causes == ("exchanged",)
    assert set(diagnose(signal(ref), signal(np.pad(0.5 * ref[::-1], ((0, 0), (800, 0))))).causes) == {
        "exchanged",
        "delay",
        "gain",
    }
    drifting = applied("drift", ref[::-1], 16000, -200.0)
    assert set(diagnose(signal(ref), signal(drifting)).causes) == {"exchanged", "drift"}


def test_noise_that_follows_the_sound_is_told_as_that_of_a_codec():
    """An MDCT whose coefficients are rounded 16 dB below the largest of a band leaves neither holes nor pre-echo."""
    rate = SIGNALS["tonal"].rate
    x = SIGNALS["tonal"].make(rate, 4.0, 1)
    found = diagnose(signal(x, rate), signal(applied("pre-echo", x, rate, 16.0), rate))
    assert "coding noise" in found.causes
    told = next(f for f in found.findings if f.cause == "coding noise")
    assert told.size == pytest.approx(found.left_db, abs=2.0)
    assert "as of a codec" in told.sentence


def test_noise_on_a_sweep_is_no_clipping():
    """A sweep has nothing at the lowest frequencies: a filter that is read there is chance."""
    x = sweep(44100, 8.0, 1)
    y = x + 0.1 * np.sqrt((x**2).mean()) * np.random.default_rng(1).standard_normal(x.shape)
    assert diagnose(signal(x, 44100), signal(y, 44100)).causes == ("noise",)


def test_a_dropout_in_noise_is_no_other_sound():
    rate = SIGNALS["speech"].rate
    x = SIGNALS["speech"].make(rate, 5.0, 1)
    y = applied("noise", applied("dropout", x, rate, 30.0), rate, -30.0)
    found = diagnose(signal(x, rate), signal(y, rate))
    assert set(found.causes) == {"dropout", "noise"}


@pytest.mark.parametrize("samples", [-0.69, 0.6])
def test_most_of_a_sample_is_undone_beside_a_low_pass(samples):
    x = speech_like(16000, 3.0, 3)
    late = applied("delay", x, 16000, samples / 16)[:, : x.shape[1]]
    late = np.pad(late, ((0, 0), (0, x.shape[1] - late.shape[1])))
    found = diagnose(signal(x), signal(applied("there and back", late, 16000, 8000.0)))
    assert found.causes == ("rate conversion",)
    assert found.left_db < -40


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("hz", [2000.0, 4000.0])
def test_the_corner_of_a_low_pass_is_where_3_db_are_lost(order, hz):
    """And its own delay is no cause."""
    rate = 48000
    x = speech_like(rate, 3.0, 5) + 1e-3 * noise(rate, 3.0, 6)
    found = diagnose(signal(x, rate), signal(sosfilt(butter(order, hz, fs=rate, output="sos"), x), rate))
    assert set(found.causes) <= {"low-pass", "gain"}
    told = found.findings[found.causes.index("low-pass")]
    assert told.size == pytest.approx(hz, rel=0.2 if order == 2 else 0.1)
    assert "20 dB down at" in told.sentence


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 0.05), (0.8, 0.01), (1.3, 0.02), (0.5, 0.1)])
def test_gain_and_offset_share_the_difference(gain, offset):
    x = speech_like(16000, 3.0, 3)
    y = gain * x + offset
    found = {f.cause: f for f in diagnose(signal(x), signal(y)).findings}
    dc = offset**2 / float(((y - x) ** 2).mean())
    level = found.get("gain") or found["loudness normalisation"]
    assert found["dc"].share == pytest.approx(dc, abs=0.02)
    assert level.share == pytest.approx(1 - dc, abs=0.02)


LEFT, RIGHT = speech_like(16000, 3.0, 3)[0], 0.7 * speech_like(16000, 3.0, 4)[0]


@pytest.mark.parametrize(
    ("ref", "test", "sentence"),
    [
        ([LEFT, RIGHT], [LEFT], "the test is the left channel of the reference"),
        ([LEFT, RIGHT], [np.roll(RIGHT, 500)], "the test is the right channel of the reference"),
        ([LEFT, RIGHT], [-LEFT], "the test is the left channel of the reference"),
        ([LEFT, RIGHT], [(LEFT + RIGHT) / 2], "the test is a mono mix of the stereo reference"),
        ([LEFT, RIGHT], [0 * LEFT], "the test has 1 channel, the reference 2"),
        ([LEFT], [LEFT, 0 * LEFT], "only the left channel of the test holds the mono reference"),
        ([RIGHT], [LEFT, RIGHT], "only the right channel of the test holds the mono reference"),
        ([LEFT], [LEFT, LEFT], "the test has 2 channels, the reference 1"),
    ],
)
def test_which_channel_is_left_of_two(ref, test, sentence):
    found = diagnose(signal(ref), signal(test))
    assert sentence in [f.sentence for f in found.findings]
    assert set(found.causes) <= {"mono", "delay", "polarity", "dead"}


@pytest.mark.parametrize(("square", "cube"), [(0.2, 0.0), (0.0, -0.2)])
def test_distortion_is_measured_as_that_of_a_sine(square, cube):
    """x + a x^2 has a harmonic of A a / 2; x + b x^3 one of A^2 b / 4 beside 1 + 3 A^2 b / 4."""
    t = np.arange(48000) / 48000
    x = 0.5 * np.sin(2 * np.pi * 440 * t)[None]
    found = {f.cause: f for f in diagnose(signal(x, 48000), signal(x + square * x**2 + cube * x**3, 48000)).findings}
    told = found["nonlinear distortion"]
    assert told.size == pytest.approx(
        100 * abs(0.5 * square / 2 + 0.25 * cube / 4 / (1 + 0.75 * 0.25 * cube)), rel=0.02
    )
    assert told.detail["even"] == pytest.approx(float(square > 0), abs=0.02)
    assert ("mostly even" if square else "mostly odd") in told.sentence


@pytest.mark.parametrize("limit", [0.05, 0.3, 0.7])
def test_hard_clipping_is_no_other_distortion(limit):
    """However much of it there is."""
    x = noise(48000, 0.5, 1)
    y = np.clip(x, -limit * np.abs(x).max(), limit * np.abs(x).max())
    causes = diagnose(signal(x, 48000), signal(y, 48000)).causes
    assert "clipping" in causes
    assert "nonlinear distortion" not in causes


@pytest.mark.parametrize("kind", ["speech", "music"])
def test_what_has_a_memory_is_no_distortion(kind):
    x = SIGNALS[kind].make(16000, 3.0, 4)
    t = np.arange(x.shape[1]) / 16000
    for y in (
        x * (1 + 0.3 * np.sin(2 * np.pi * 6 * t)),  # a tremolo
        np.stack([np.interp(t + 0.0002 * np.sin(2 * np.pi * t), t, c) for c in x]),  # wow
        applied("compression", x, 16000, 8.0),
        applied("reverberation", x, 16000, 0.5),
        applied("shelf", x, 16000, 9.0),
    ):
        assert "nonlinear distortion" not in diagnose(signal(x), signal(y)).causes


@pytest.mark.parametrize(
    ("kind", "subtype"), [("speech", "OPUS"), ("music", "OPUS"), ("speech", "VORBIS"), ("music", "MPEG_LAYER_III")]
)
def test_codecs_of_low_rates_are_told_as_codecs(kind, subtype):
    rate = 48000 if kind == "music" else 16000
    x = SIGNALS[kind].make(rate, 3.0, 5)
    file = "MP3" if subtype == "MPEG_LAYER_III" else "OGG"
    found = diagnose(signal(x, rate), signal(coded(x, rate, file, subtype, 0.9), rate))
    assert {"coding noise", "band holes", "pre-echo"} & set(found.causes)
    assert set(found.causes) <= {"coding noise", "band holes", "pre-echo", "low-pass", "delay", "gain", "bit depth"}


@pytest.mark.parametrize("subtype", ["G721_32", "G723_24", "G723_40"])
def test_what_adpcm_takes_from_peaks_is_no_distortion(subtype):
    """G.726 of sparse speech."""
    x = 0.7 * SIGNALS["sparse"].make(8000, 5.0, 1)
    causes = diagnose(signal(x, 8000), signal(coded(x, 8000, "AU", subtype, None), 8000)).causes
    assert set(causes) <= {"bit depth", "coding noise"}


@pytest.mark.parametrize("seed", [4, 12])
def test_hum_where_the_sound_has_nothing_is_no_clipping(seed):
    x = SIGNALS["wide speech"].make(48000, 3.0, seed)
    assert diagnose(signal(x, 48000), signal(applied("hum", x, 48000, -14.0), 48000)).causes == ("hum",)


def test_noise_of_steps_that_follow_the_level_is_told():
    """Blocks of 8 ms, each with 17 steps up to its peak, as of companding."""
    x = speech_like(16000, 3.0, 5)
    blocks = x.reshape(1, -1, 128)
    step = np.abs(blocks).max(axis=2, keepdims=True) / 8 + 1e-9
    found = diagnose(signal(x), signal((np.round(blocks / step) * step).reshape(1, -1)))
    assert found.causes == ("coding noise",)
    assert "companding" in found.sentences[0]


def test_a_filter_that_moves_is_no_codec():
    """A flanger: the sound once more, 4 ms later give or take 0.8 ms."""
    x = SIGNALS["wide speech"].make(48000, 3.0, 1)
    t = np.arange(x.shape[1]) / 48000
    late = np.interp(t - 0.004 + 0.0008 * np.sin(2 * np.pi * 0.7 * t), t, x[0], left=0.0)[None]
    assert "coding noise" not in diagnose(signal(x, 48000), signal(x + 0.6 * late, 48000)).causes
