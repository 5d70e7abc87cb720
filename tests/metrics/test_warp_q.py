"""WARP-Q: the original's numbers, what it hears and what it forgives, its edges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audiosim import compare, load
from audiosim.errors import UsageError
from audiosim.judge.assembly import result_row
from audiosim.judge.explain import explain
from audiosim.metrics import warp_q as module
from audiosim.result import Result
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, Array, added_noise, clipping, dropout, low_pass, reverb, speech_like

RATE = 16000
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
DAMAGES = {
    "identical": lambda x: x,
    "noise": lambda x: added_noise(x, RATE, 0.3, 1),
    "reverb": lambda x: reverb(x, RATE, 1.0, 1),
    "clipping": lambda x: clipping(x, RATE, 0.9),
    "dropout": lambda x: dropout(x, RATE, 0.4),
    "low_pass": lambda x: low_pass(x, RATE, 0.5),
}


def warp_q(ref: Array, test: Array, options: str = "", detail: str = "value") -> Result:
    spec = f"warp-q:{options}" if options else "warp-q"
    return compare(ref, test, spec, RATE, detail=detail, length="keep")[spec]  # type: ignore[arg-type]


# The original


@compiled
@pytest.mark.parametrize(
    ("damage", "expected", "patches"),
    [
        ("identical", 0.396, (0.422, 0.372, 0.370, 0.486)),
        ("noise", 2.411, (2.552, 2.780, 2.418, 2.399)),
        ("reverb", 2.720, (2.584, 2.699, 2.649, 2.835)),
        ("clipping", 1.661, (1.628, 1.517, 2.073, 2.263)),
        ("dropout", 0.608, (0.422, 0.374, 0.387, 0.562)),
        ("low_pass", 2.309, (2.299, 2.543, 2.460, 2.381)),
    ],
)
def test_numbers_of_the_original(damage: str, expected: float, patches: tuple[float, ...]) -> None:
    """warpq 1.5.2, warpqMetric(apply_vad=False).evaluate(ref, test, arr_sr=16000), float32: rounded to 3 digits."""
    x = speech_like(RATE, 3.0, 5)
    result = warp_q(x, DAMAGES[damage](x), "vad=none", "profile")
    assert result.value == pytest.approx(expected, abs=6e-4)
    assert result.details["patches"] == 16
    assert result.per_time is not None
    np.testing.assert_allclose(result.per_time[:4], patches, atol=6e-4)


@compiled
def test_recorded_numbers(shared: Path) -> None:
    """warpq 1.5.2 with its own voice activity detection, which hears noise as a pause where ours does not."""
    apart = []
    for pair in json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values():
        recorded = pair["metrics"].get("warpq(raw,norm)")
        if recorded:
            ref, test = (load(shared / "audio" / "speech" / pair[end]).samples for end in ("ref", "deg"))
            result = warp_q(ref, test)
            apart.append(abs(result.value - recorded[0]))
            assert result.details["normalised"] == pytest.approx(1 - result.value / 3.5)
    assert len(apart) == 45
    assert np.median(apart) < 0.01
    assert max(apart) < 0.15  # it hears a softer copy of one file in another way


# Long recordings


@compiled
def test_a_long_reference_is_searched_near_likely_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never better than exact=true, mostly the same; and exact where it is not long."""
    x = speech_like(RATE, 8.0, 5)
    for damage in ("identical", "noise", "dropout"):
        y = DAMAGES[damage](x)
        whole, asked = warp_q(x, y), warp_q(x, y, "exact=true")
        assert whole.value == asked.value
        monkeypatch.setattr(module, "LONG", 5.0)
        near, exact = (warp_q(x, y, options, "profile") for options in ("", "exact=true"))
        monkeypatch.undo()
        assert exact.value == whole.value
        assert near.per_time is not None
        assert exact.per_time is not None
        more = (near.per_time - exact.per_time)[np.isfinite(exact.per_time)]
        assert (more >= 0).all()
        assert np.mean(more == 0) > 0.7
        assert near.value - exact.value < 0.05


def test_the_whole_reference_is_no_part_of_it() -> None:
    with pytest.raises(UsageError, match="leave search out"):
        warp_q(np.zeros((1, RATE)), np.zeros((1, RATE)), "exact=true,search=1")


# What it hears


@compiled
def test_timing_level_and_filters_are_forgiven_but_damage_is_not() -> None:
    x = speech_like(RATE, 3.0, 6)
    alike = warp_q(x, x).value
    later = np.concatenate([np.zeros((1, 8000)), 0.3 * x], axis=1)
    turned = np.concatenate([x[:, 24000:], x[:, :24000]], axis=1)
    assert warp_q(x, later).value == pytest.approx(alike, abs=0.1)
    assert warp_q(x, turned).value < alike + 0.2
    values = [warp_q(x, added_noise(x, RATE, strength, 1)).value for strength in (0.03, 0.1, 0.3, 1.0)]
    assert alike < values[0] < values[1] < values[2] < values[3]


@compiled
def test_pauses_are_cut_and_times_are_those_of_the_recording() -> None:
    x = speech_like(RATE, 2.0, 7)
    y = added_noise(x, RATE, 0.1, 1)
    pause = np.zeros((1, 2 * RATE))
    whole, parted = (np.concatenate([z[:, :RATE], pause, z[:, RATE:]], axis=1) for z in (x, y))
    assert warp_q(whole, parted).value == pytest.approx(warp_q(x, y).value, rel=0.1)
    result = warp_q(x, parted, detail="profile")
    assert result.details["test_seconds"] == pytest.approx(2.0, abs=0.3)
    assert result.times is not None
    assert result.per_time is not None
    silent = np.isnan(result.per_time)
    assert silent[(result.times > 1.4) & (result.times < 2.8)].all()
    assert not silent[(result.times > 0.3) & (result.times < 0.7)].any()
    assert np.nanmedian(result.per_time) == result.value


@compiled
def test_explain_finds_the_patch_that_is_damaged() -> None:
    x = speech_like(RATE, 6.0, 8)
    y = x.copy()
    y[:, 3 * RATE : 4 * RATE] = added_noise(x, RATE, 1.0, 1)[:, 3 * RATE : 4 * RATE]
    found = explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "warp-q:vad=none").regions[0]
    assert 2.6 < found.start < found.end < 4.4


# Options


@compiled
def test_normalised_score_is_better_when_higher() -> None:
    x = speech_like(RATE, 2.0, 9)
    y = np.concatenate([x, added_noise(x, RATE, 0.3, 1)])
    raw, score = warp_q(np.repeat(x, 2, 0), y), warp_q(np.repeat(x, 2, 0), y, "output=normalised")
    np.testing.assert_allclose(score.per_channel, 1 - raw.per_channel / 3.5)
    assert score.value == pytest.approx(score.per_channel.mean())
    assert result_row("warp-q:output=normalised", score)["better"] == "higher"
    assert result_row("warp-q", raw)["better"] == "lower"


@compiled
def test_search_keeps_near() -> None:
    x = speech_like(RATE, 4.0, 10)
    y = np.concatenate([x[:, 2 * RATE :], x[:, : 2 * RATE]], axis=1)
    assert warp_q(x, y, "search=4").value == warp_q(x, y).value
    assert warp_q(x, y, "search=0.5").value > warp_q(x, y).value + 0.03  # its syllables are much alike
    assert warp_q(x, x, "search=0.5").value == pytest.approx(warp_q(x, x).value, abs=0.02)
    with pytest.raises(UsageError, match="search must be 0 or more"):
        warp_q(x, y, "search=-1")


# Its edges


@compiled
def test_what_has_no_number_says_why() -> None:
    x = speech_like(RATE, 1.0, 11)
    silent = np.zeros_like(x)
    for options in ("", "vad=none"):
        assert warp_q(silent, x, options).reason == "the reference is silent"
        assert warp_q(x, silent, options).reason == "the test is silent"
        assert warp_q(x, x[:, :6399], options).reason == "too short: 0.4 s are needed, there are 0.4 s"
    mostly = x.copy()
    mostly[:, 3000:] = 0
    assert warp_q(mostly, x).reason == "0.24 s of the reference are within 60 dB of its loudest part, 0.4 s are needed"
    both = warp_q(np.concatenate([x, silent]), np.concatenate([x, x]), detail="map")
    assert both.reason == "channel 2: the reference is silent"
