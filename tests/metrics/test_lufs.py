"""lufs: test signals of EBU Tech 3341 and 3342 made here, the plain formula, ffmpeg's ebur128."""

from __future__ import annotations

import re
import shutil
import subprocess
from math import inf, isnan

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.dsp import recursive
from audiosim.hearing import weighting
from audiosim.judge.explain import explain
from audiosim.result import Result
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, SIGNALS, Array, affordable, low_pass, noise, pink
from tests import naive

RATE = 48000
Levels = list[tuple[float, float]]

slow = pytest.mark.skipif(not COMPILED, reason="minutes of sound")
by_ffmpeg = pytest.mark.skipif(not COMPILED or shutil.which("ffmpeg") is None, reason="needs ffmpeg, compiled kernels")


def answer(ref: Array, test: Array, rate: int = RATE) -> Result:
    return metrics.get("lufs").compute(ref, test, rate)


def measured(x: Array, rate: int = RATE) -> dict[str, float]:
    """Details of one recording."""
    details = answer(x, x, rate).details
    return {name.removesuffix("_ref"): v for name, v in details.items() if name.endswith("_ref")}


def tone(levels: Levels, channels: int = 2, rate: int = RATE, frequency: float = 1000.0) -> Array:
    """Sines of peak levels in dBFS that last so many seconds, the same in all channels."""
    parts = [10 ** (db / 20) * np.sin(2 * np.pi * frequency * np.arange(round(s * rate)) / rate) for db, s in levels]
    return np.tile(np.concatenate(parts), (channels, 1))


def ideal(levels: Levels, gain: float, rate: int) -> float:
    """Integrated loudness of such tones where channels add up to gain: blocks that straddle two levels weigh them."""
    k = float(weighting.magnitude("k", np.array([1000.0]), rate)[0])
    steps = np.concatenate([np.full(round(10 * s), gain * k**2 / 2 * 10 ** (db / 10)) for db, s in levels])
    blocks = np.convolve(steps, np.full(4, 0.25), "valid")
    heard = blocks[-0.691 + 10 * np.log10(blocks) > -70]
    return float(-0.691 + 10 * np.log10(heard[heard > heard.mean() / 10].mean()))


CASES: list[Levels] = [  # Tech 3341, table 1
    [(-23, 20)],
    [(-33, 20)],
    [(-36, 10), (-23, 60), (-36, 10)],
    [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],
    [(-26, 20), (-20, 20.1), (-26, 20)],
]


@slow
@pytest.mark.parametrize("rate", [48000, 44100])
@pytest.mark.parametrize("case", range(1, 6))
def test_gates(case: int, rate: int) -> None:
    levels = CASES[case - 1]
    value = measured(tone(levels, rate=rate), rate)["integrated"]
    assert value == pytest.approx(ideal(levels, 2.0, rate), abs=0.01)
    assert value == pytest.approx(-33 if case == 2 else -23, abs=0.1)


@slow
def test_channels_have_their_weights() -> None:
    """Case 6, with a loud LFE in 5.1 that nobody measures."""
    five = tone([(0, 20)], 5) * 10 ** (np.array([-28, -28, -24, -30, -30])[:, None] / 20)
    gain = 2 * 10**-2.8 + 10**-2.4 + 2 * 1.41 * 10**-3
    assert measured(five)["integrated"] == pytest.approx(ideal([(0, 20)], gain, RATE), abs=0.01)
    assert measured(five)["integrated"] == pytest.approx(-23, abs=0.1)
    six = np.insert(five, 3, tone([(0, 20)], 1, frequency=60.0), axis=0)
    assert measured(six)["integrated"] == measured(five)["integrated"]
    assert isnan(answer(six, six).per_channel[3])
    seven = noise(RATE, 0.1, 1, 7)
    assert "7 channels" in (answer(seven, seven).reason or "")


@slow
def test_short_term_and_momentary() -> None:
    """Cases 9 and 12: every window of 3 s, or of 0.4 s, holds as much of the loud tone."""
    assert measured(tone([(-20, 1.34), (-30, 1.66)] * 5))["short_term_max"] == pytest.approx(-23, abs=0.1)
    assert measured(tone([(-20, 0.18), (-30, 0.22)] * 25))["momentary_max"] == pytest.approx(-23, abs=0.1)


@slow
@pytest.mark.parametrize(
    ("levels", "expected"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
)
def test_loudness_range(levels: tuple[float, ...], expected: float) -> None:
    """Tech 3342, table 1, cases 1 to 4."""
    assert measured(tone([(db, 20) for db in levels]))["range"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("rate", [48000, 44100, 96000, 192000])
@pytest.mark.parametrize(
    ("amplitude", "period", "degrees", "expected"),
    [(0.5, 4, 0, -6), (0.5, 4, 45, -6), (0.5, 6, 60, -6), (0.5, 8, 67.5, -6), (1.41, 4, 45, 3)],
)
def test_true_peak(rate: int, amplitude: float, period: int, degrees: float, expected: float) -> None:
    """Tech 3341, cases 15 to 19, faded in and out: the peaks lie between the samples."""
    n = np.arange(2400 if COMPILED else 600)
    x = amplitude * np.sin(2 * np.pi * n / period + np.radians(degrees)) * np.hanning(n.size) ** 0.25
    if rate < 192000:
        assert 20 * np.log10(recursive.true_peak(x, rate)) == pytest.approx(expected, abs=0.05)
    else:
        assert recursive.true_peak(x, rate) == np.max(np.abs(x))


def test_the_true_peak_is_that_of_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (0, 1, 99, 100, 101, 498, 499):
        x = np.zeros(500, np.float32)
        x[place] = 0.7
        x[max(place - 1, 0)] = 0.7  # the peak lies between the two
        whole = recursive.true_peak(x, 48000)
        with monkeypatch.context() as patched:
            patched.setattr(recursive, "STEP", 50)
            assert recursive.true_peak(x, 48000) == whole >= np.float32(0.7)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.3, 4.5])
def test_it_is_its_plain_formula(rate: int, seconds: float) -> None:
    for channels in (1, 2, 6) if COMPILED else (1,):
        x = pink(rate, affordable(seconds), 3, channels)
        plain, details = naive.bs1770(x, rate), measured(x, rate)
        assert details.keys() == plain.keys()
        for name, value in plain.items():
            assert details[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("decibels", [-6.0, 0.5])
def test_gain_is_the_difference(decibels: float) -> None:
    x = pink(RATE, affordable(4.0), 1, 2)
    result = answer(x, x * 10 ** (decibels / 20))
    assert result.value == pytest.approx(abs(decibels), abs=1e-9)
    np.testing.assert_allclose(result.per_channel, abs(decibels), rtol=0, atol=1e-9)
    for name in measured(x):
        expected = 0 if name == "range" else decibels
        assert result.details[f"{name}_difference"] == pytest.approx(expected, abs=1e-9), name


OUTPUTS = {
    "integrated": "integrated",
    "true-peak": "true_peak",
    "range": "range",
    "short-term": "short_term_max",
    "momentary": "momentary_max",
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_measure_can_be_the_value(output: str) -> None:
    x = pink(RATE, affordable(4.0), 1, 2)
    y = x * np.linspace(0.3, 1.0, x.shape[1])
    get = metrics.get("lufs").compute
    apart, own = (get(x, y, RATE, output=output, of=of) for of in ("difference", "test"))
    name = OUTPUTS[output]
    if not COMPILED and name in ("range", "short_term_max", "momentary_max"):  # for which there is too little sound
        assert (apart.status, own.status) == ("undefined", "undefined")
        return
    assert own.value == apart.details[f"{name}_test"]
    assert apart.value == abs(apart.details[f"{name}_difference"])
    units = {"true-peak": ("dB", "dBTP"), "range": ("LU", "LU")}.get(output, ("LU", "LUFS"))
    assert (apart.unit, own.unit) == units
    left = get(x[:1], y[:1], RATE, output=output, of="test")
    assert own.per_channel[0] == pytest.approx(left.value, abs=1e-12)


def test_a_measure_that_a_recording_is_too_short_for() -> None:
    x = pink(RATE, 0.3, 1)
    get = metrics.get("lufs").compute
    for output, needed in (("short-term", "3 s"), ("range", "3 s"), ("momentary", "0.4 s")):
        found = get(x, x, RATE, output=output)
        assert found.status == "undefined"
        assert f"{needed} are needed" in (found.reason or "")
    silent = get(x, 0 * x, RATE, output="true-peak", of="test")
    assert (silent.value, silent.reason) == (-inf, "the test is silent")


def test_silence_and_what_cannot_be_measured() -> None:
    x = pink(RATE, affordable(1.0), 1)
    nothing = np.zeros_like(x)
    assert (answer(x, nothing).value, answer(nothing, x).value) == (inf, inf)
    assert "test is below" in (answer(x, nothing).reason or "")
    assert "reference is below" in (answer(nothing, x).reason or "")
    assert answer(nothing, x * 1e-5).status == "undefined"
    assert "K-weighting" in (answer(x, x, 2000).reason or "")


def test_the_filter_is_the_curve() -> None:
    """Energy of the impulse response, by Parseval."""
    for rate in (8000, 48000, 96000):
        n = 1 << 14
        x, out = np.zeros(n), np.zeros(1)
        x[0] = 1
        recursive.energies(x, weighting.k_sections(rate), np.array([0, n]), out)
        curve = weighting.magnitude("k", np.arange(n) * rate / n, rate)
        assert out[0] == pytest.approx(np.mean(curve**2), rel=1e-9)


def test_a_long_silence_after_sound_costs_nothing_else() -> None:
    """States that die away become zero, not ever smaller numbers."""
    x = np.zeros(20000)
    x[:10] = 1.0
    sections = np.array([[1.0, 0.0, 0.0, -0.9, 0.0]])
    out = np.zeros(200)
    recursive.energies(x, sections, np.arange(0, 20001, 100), out)
    assert out[0] > 0
    assert (out[-100:] == 0).all()


@by_ffmpeg
@pytest.mark.parametrize(
    ("name", "layout", "channels", "rate"),
    [
        ("speech_like", "mono", 1, 48000),
        ("speech_like", "stereo", 2, 44100),
        ("pink", "stereo", 2, 16000),
        ("pink", "quad", 4, 48000),
        ("pink", "5.0", 5, 48000),
        ("pink", "5.1", 6, 48000),
    ],
)
def test_ffmpeg(name: str, layout: str, channels: int, rate: int) -> None:
    """Its integrated loudness and range come in steps of 0.01, its peaks, in samples, in steps of 0.001."""
    seconds = 10
    x = SIGNALS[name](rate, seconds, 3, channels)
    level = np.random.default_rng(channels).uniform(-30, 0, seconds + 1)
    x = x * 10 ** (np.interp(np.arange(x.shape[1]) / rate, np.arange(seconds + 1), level) / 20)
    x = low_pass(x, rate, 0.25)  # its resampler begins to fall below half the rate
    x *= 0.9 / np.max(np.abs(x))
    theirs, ours = ebur128(x, layout, rate), measured(x, rate)
    assert ours["integrated"] == pytest.approx(theirs["I"][-1], abs=0.01)
    assert ours["momentary_max"] == pytest.approx(max(theirs["M"]), abs=0.001)
    assert ours["short_term_max"] == pytest.approx(max(theirs["S"]), abs=0.001)
    if rate == 48000:  # elsewhere its 192 kHz are other points between the samples
        assert ours["true_peak"] == pytest.approx(20 * np.log10(max(theirs["true_peak"])), abs=0.01)
    # the range: that of its own short-term loudness by the ranks of Tech 3342; by ffmpeg's, what it prints
    levels = np.array([s for s in theirs["S"] if s > -70])
    levels = np.sort(levels[levels > 10 * np.log10(np.mean(10 ** (levels / 10))) - 20])
    n = levels.size
    assert ours["range"] == pytest.approx(
        levels[((n - 1) * 95 + 50) // 100] - levels[((n - 1) * 10 + 50) // 100], abs=0.002
    )
    assert theirs["LRA"][-1] == pytest.approx(
        levels[int(0.95 * n + 0.5) - 1] - levels[int(0.1 * n + 0.5) - 1], abs=0.011
    )


@by_ffmpeg
@pytest.mark.parametrize("case", range(1, 6))
def test_ffmpeg_on_the_test_signals(case: int) -> None:
    x = tone(CASES[case - 1])
    theirs, ours = ebur128(x, "stereo", RATE), measured(x)
    assert ours["integrated"] == pytest.approx(theirs["I"][-1], abs=0.01)
    assert ours["range"] == pytest.approx(theirs["LRA"][-1], abs=0.01)


def ebur128(x: Array, layout: str, rate: int) -> dict[str, list[float]]:
    """What ffmpeg's filter writes every 0.1 s."""
    source = ["-f", "f64le", "-ar", str(rate), "-ac", str(len(x)), "-channel_layout", layout, "-i", "-"]
    chain = ["-af", "ebur128=metadata=1:peak=true,ametadata=print:file=-", "-f", "null", "-"]
    samples = np.ascontiguousarray(x.T).tobytes()
    run = subprocess.run(["ffmpeg", "-hide_banner", *source, *chain], input=samples, capture_output=True, check=True)
    found: dict[str, list[float]] = {}
    for name, value in re.findall(r"lavfi\.r128\.(\S+)=(\S+)", run.stdout.decode()):
        found.setdefault(name, []).append(float(value))
    return found


def test_explain_shows_where_the_loudness_went() -> None:
    x = noise(RATE, affordable(2.0), 1, 2)
    y = low_pass(x, RATE, 0.5)
    result = compare(x, y, "lufs", RATE, detail="map")["lufs"]
    assert result.per_band is not None
    assert result.bands is not None
    assert result.per_band[result.bands > 4800].sum() > 0.95
    assert explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "lufs").regions
