"""Gates: how they are read, and what passes."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest

from audiosim import gates
from audiosim.comparison import compare_signals
from audiosim.errors import UsageError
from audiosim.match import Policy
from audiosim.result import Result, undefined
from audiosim.signal import Signal
from tests.signals import affordable, noise

RATE = 16000


def result(value, **fields):
    return Result(value=value, per_channel=np.array([value]), **fields)


@pytest.mark.parametrize(
    ("text", "spec", "operator", "limit", "band"),
    [
        ("si-sdr>=20", "si-sdr", ">=", 20.0, None),
        ("si-sdr > -3.5", "si-sdr", ">", -3.5, None),
        ("mse<1e-6", "mse", "<", 1e-6, None),
        ("mse:weighting=hp<=3", "mse:weighting=hp", "<=", 3.0, None),
        ("mse:weighting=hp,coef=0.9<=3", "mse:weighting=hp,coef=0.9", "<=", 3.0, None),
        ("mse@4000-8000>=10", "mse", ">=", 10.0, (4000.0, 8000.0)),
        ("mse:weighting=hp@0-62.5<1", "mse:weighting=hp", "<", 1.0, (0.0, 62.5)),
        ("sdr<inf", "sdr", "<", inf, None),
    ],
)
def test_gates_are_read(text, spec, operator, limit, band):
    gate = gates.parse(text)
    assert (gate.text, gate.spec, gate.operator, gate.limit, gate.band) == (text, spec, operator, limit, band)


@pytest.mark.parametrize(
    "text",
    [
        "si-sdr",
        "si-sdr>=",
        ">=20",
        "si-sdr=20",
        "si-sdr==20",
        "si-sdr=>20",
        "si-sdr>=twenty",
        "si-sdr>=nan",
        "no-metric>=1",
        "mse:no-option=1<1",
        "mse@8000-4000<1",
        "mse@4000<1",
        "mse@a-b<1",
        "mse@1.2.3-4<1",
        "",
    ],
)
def test_other_texts_are_usage_errors(text):
    with pytest.raises(UsageError):
        gates.parse(text)


@pytest.mark.parametrize("text", ["si-sdr=<20", "si-sdr!>20", " >=20"])
def test_a_mistyped_operator_is_not_taken_for_a_metric(text):
    with pytest.raises(UsageError, match="one of < <= > >="):
        gates.parse(text)


def test_a_share_is_no_value_of_a_band():
    from audiosim import metrics

    shares = [n for n in metrics.names() if metrics.get(n).CARD.profile == "share"]
    for name in shares:
        with pytest.raises(UsageError, match="share of the error energy"):
            gates.parse(f"{name}@100-200<1")


@pytest.mark.parametrize(
    ("gate", "value", "passed", "missed"),
    [
        ("mse<1", 0.5, True, 0.0),
        ("mse<1", 1.0, False, 0.0),
        ("mse<=1", 1.0, True, 0.0),
        ("mse>1", 0.25, False, 0.75),
        ("mse>=1", 1.0, True, 0.0),
        ("sdr>=20", inf, True, 0.0),
        ("sdr<20", inf, False, inf),
        ("sdr>=20", -inf, False, inf),
        ("sdr>=inf", inf, True, 0.0),
    ],
)
def test_verdicts(gate, value, passed, missed):
    found = gates.verdict(gates.parse(gate), result(value, status="ok" if abs(value) < inf else "infinite"))
    assert (found.passed, found.missed_by, found.value) == (passed, missed, value)


def test_undefined_never_passes():
    for gate in ("mse<inf", "mse>-inf"):
        found = gates.verdict(gates.parse(gate), undefined("the reference is silent", 1))
        assert not found.passed
        assert isnan(found.value)
        assert isnan(found.missed_by)
        assert found.reason == "undefined: the reference is silent"
    empty = result(1.0, per_band=np.array([nan]))
    assert not gates.verdict(gates.parse("mse@10-20<9"), empty).passed


def test_a_band_is_asked_for_alone():
    ref = noise(RATE, affordable(0.5), 1)
    tone = 0.1 * np.sin(2 * np.pi * 3000 * np.arange(ref.shape[1]) / RATE)
    pair = Signal.of(ref, RATE), Signal.of(ref + tone, RATE)
    done = compare_signals(*pair, ["mse"], Policy())
    high, low = gates.judge([gates.parse("mse@2500-3500<1"), gates.parse("mse@100-1000<1")], done, Policy())
    assert high.value == pytest.approx(0.005, rel=0.05)  # a sine's power, less what the window spreads
    assert low.value < 0.01 * high.value


def test_a_band_beyond_half_the_rate_is_refused():
    pair = Signal.of(noise(RATE, 0.1, 1), RATE), Signal.of(noise(RATE, 0.1, 2), RATE)
    done = compare_signals(*pair, ["mse"], Policy())
    with pytest.raises(UsageError, match="8000 Hz"):
        gates.judge([gates.parse("mse@4000-8001<1")], done, Policy())
    assert gates.judge([gates.parse("mse@4000-8000<1")], done, Policy())[0].passed
