"""llr: what is known of it, and pysepm's numbers on recorded speech."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, Array, added_noise, noise, silence, speech_like

RATE = 16000


def value(spec: str, ref: Array, test: Array, rate: int = RATE) -> float:
    return compare(ref, test, spec, rate)[spec].value


def recursive(x: Array, pole: float) -> Array:
    """y[n] = x[n] + pole y[n - 1]."""
    y = np.empty_like(x)
    y[:, 0] = x[:, 0]
    for n in range(1, x.shape[1]):
        y[:, n] = x[:, n] + pole * y[:, n - 1]
    return y


@pytest.mark.skipif(not COMPILED, reason="long frames")
def test_is_the_logarithm_of_the_prediction_gain_where_the_test_is_white() -> None:
    """Of a first-order process with pole p against white noise: -ln(1 - p^2). The other way ln(1 + p^2)."""
    white = noise(RATE, 4.5, 1)
    coloured = recursive(white, 0.8)
    spec = "llr:frame=2,overlap=0.5,order=2,keep=1,limit=0"
    assert value(spec, coloured, white) == pytest.approx(-np.log(1 - 0.64), rel=0.02)
    assert value(spec, white, coloured) == pytest.approx(np.log(1 + 0.64), rel=0.02)


def test_limit_and_keep() -> None:
    ref, test = speech_like(RATE, 0.4, 1), noise(RATE, 0.4, 2)
    frames = compare(ref, test, "llr:limit=0", RATE, detail="profile")["llr:limit=0"].per_time
    assert frames is not None
    assert frames.max() > 2
    for limit, keep in ((2.0, 0.95), (0.0, 1.0), (1.0, 0.5)):
        clipped = np.sort(np.minimum(frames, limit or np.inf))
        expected = clipped[: round(keep * clipped.size)].mean()
        assert value(f"llr:limit={limit},keep={keep}", ref, test) == pytest.approx(expected, rel=1e-12)


def test_silence_that_both_share_is_no_distance() -> None:
    """pysepm's guard leaves such frames to rounding."""
    speech, nothing = speech_like(RATE, 0.2, 1), silence(RATE, 0.3)
    noisy = np.concatenate([added_noise(speech, RATE, 0.01, 1), nothing], axis=1)
    assert value("llr:keep=1", np.concatenate([speech, nothing], axis=1), noisy) > 0
    frames = compare(np.concatenate([speech, nothing], axis=1), noisy, "llr", RATE, detail="profile")["llr"].per_time
    assert frames is not None
    np.testing.assert_array_equal(frames[-30:], 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("frame=0", "frame must be above 0, not 0"),
        ("frame=1e-5", "frame of 0 samples"),
        ("frame=6.5e-5,overlap=0", "frame of 1 sample has no envelope"),
        ("overlap=1", "overlap must be 0 to below 1, not 1"),
        ("overlap=-0.1", "overlap must be 0 to below 1, not -0.1"),
        ("overlap=0.999", "hop of 0"),
        ("order=-1", "order must be 0 or more, not -1"),
        ("limit=-1", "limit must be 0 or more, not -1"),
        ("keep=0", "keep must be above 0 to 1, not 0"),
    ],
)
def test_impossible_options(options: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        value(f"llr:{options}", noise(RATE, 0.1), noise(RATE, 0.1))


def test_pysepms_numbers(shared: Path) -> None:
    """pysepm at 7ef88af, llr(ref, deg, 16000) and with used_for_composite=True, on recordings of up to 10 s.

    Where the reference holds digital silence, pysepm's frames there depend on how sums were rounded.
    """
    if not COMPILED:
        pytest.skip("recordings are too long for uncompiled kernels")
    specs = ("llr", "llr:convention=pysepm", "llr:convention=pysepm,limit=0")
    counted = 0
    for pair in recorded(shared):
        ref, test, theirs = pair
        found = {spec: result.value for spec, result in compare(ref, test, specs, RATE).items()}
        quiet = [silent_frames(x) for x in (ref, test)]
        if not any(quiet):
            counted += 1
            assert found["llr"] == pytest.approx(theirs["pysepm.llr"], abs=1e-6)
            assert found[specs[2]] == pytest.approx(theirs["pysepm.llr(unclipped, composite)"], abs=1e-6)
        assert found[specs[1]] == pytest.approx(theirs["pysepm.llr"], abs=2e-3 if quiet[0] else 1e-6)
    assert counted >= 80


def recorded(shared: Path) -> list[tuple[Array, Array, dict[str, Any]]]:
    pairs = []
    for oracle in json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values():
        ref, test = (load(shared / "audio" / "speech" / oracle[end]).samples.astype(float) for end in ("ref", "deg"))
        n = min(ref.shape[1], test.shape[1])
        pairs.append((ref[:, :n], test[:, :n], oracle["metrics"]))
    return pairs


def silent_frames(x: Array) -> int:
    frames = np.lib.stride_tricks.sliding_window_view(x[0], 480)[::120]
    return int((~frames.any(axis=1)).sum())
