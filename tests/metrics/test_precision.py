"""Files are decoded to float32: their values are those of the same samples as float64, also where hardly anything
differs, or hardly anything is heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.hearing.weighting import Weighted, streams
from audiosim.testing.contract import make, rate_of
from audiosim.testing.signals import COMPILED
from tests.benchmarks.precision import ASKED, deviation, pairs

# and what it computes in is part of what it computes
ORIGINAL_IN_FLOAT32 = {"zimtohrli", "warp-q", "embedding", "cdpam"}
ZEROS = 1e-25  # what rounding makes of a value of 0

PROFILED = ("mse", "esr", "snr", "si-sdr", "seg-snr", "lsd", "log-mel", "mr-stft", "wss", "fwseg-snr", "tversky")


def compared(name: str, ref: Any, test: Any, field: str = "value", **options: Any) -> tuple[Any, Any]:
    """A field of the answer of float32 samples, and of the same samples as float64."""
    metric = metrics.get(name)
    detail = "value" if field == "value" else "map"
    both = (
        metric.compute(ref.astype(t), test.astype(t), rate_of(metric), detail=detail, **options)
        for t in (np.float32, np.float64)
    )
    single, double = (getattr(result, field) for result in both)
    return single, double


def assert_close(name: str, options: dict[str, Any], what: str, single: float, double: float) -> None:
    off = 0.0 if abs(single - double) < ZEROS else deviation(single, double)
    assert off <= ASKED, f"{name} {options} {what}: {single!r} of float32 samples, {double!r} of float64"


@pytest.mark.skipif(not COMPILED, reason="it is the arithmetic of compiled kernels that is tested")
@pytest.mark.parametrize("name", sorted(set(metrics.names()) - ORIGINAL_IN_FLOAT32))
def test_a_file_has_the_value_of_an_array(name: str) -> None:
    metric = metrics.get(name)
    x = make("speech_like", metric, seconds=0.4)
    for what, (ref, test) in pairs(x, rate_of(metric)).items():
        assert_close(name, {}, what, *compared(name, ref, test))


@pytest.mark.skipif(not COMPILED, reason="it is the arithmetic of compiled kernels that is tested")
@pytest.mark.parametrize(
    "option", [*({"weighting": w} for w in ("hp", "fd", "a", "k", "auraloss-aw")), {"mid_side": True}]
)
@pytest.mark.parametrize("name", ["mse", "esr", "si-sdr", "seg-snr", "dc", "lsd", "stft", "llr"])
def test_a_weighted_file_has_the_value_of_an_array(name: str, option: dict[str, Any]) -> None:
    metric = metrics.get(name)
    x = make("pink", metric, seconds=0.4, channels=2)
    for what, (ref, test) in pairs(x, rate_of(metric)).items():
        assert_close(name, option, what, *compared(name, ref, test, **option))


@pytest.mark.skipif(not COMPILED, reason="it is the arithmetic of compiled kernels that is tested")
@pytest.mark.parametrize("field", ["per_band", "per_time", "map"])
@pytest.mark.parametrize("name", PROFILED)
def test_profiles_and_maps_too(name: str, field: str) -> None:
    """A small error below a loud recording is where it is, not where float32 rounds."""
    metric = metrics.get(name)
    made = pairs(make("speech_like", metric, seconds=0.4), rate_of(metric))
    for what in ("16 bits, dithered", "noise at -80 dB", "noise at -120 dB"):
        single, double = compared(name, *made[what], field)
        scale = np.nanmax(np.abs(double[np.isfinite(double)]), initial=0.0)
        np.testing.assert_allclose(single, double, rtol=ASKED, atol=ASKED * scale, err_msg=what)


@pytest.mark.parametrize("weighting", ["none", "hp", "a"])
@pytest.mark.parametrize("float64", [False, True])
def test_float32_samples_are_widened_without_a_copy(weighting: Any, float64: bool) -> None:
    class Options(Weighted):
        pass

    Options.float64 = float64
    x = np.random.default_rng(1).standard_normal((1, 500)).astype(np.float32)
    [(ref, _)] = streams(x, x, 16000, Options(weighting=weighting))
    assert ref.dtype == (np.float32 if weighting == "none" and not float64 else np.float64)
    assert weighting == "a" or np.shares_memory(ref.samples, x)
