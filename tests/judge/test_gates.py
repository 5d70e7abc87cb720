"""Gates: how they are read, and what passes."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pytest

from audiosim.comparison import compare_signals
from audiosim.errors import UsageError
from audiosim.judge import gates
from audiosim.judge.assembly import result_row
from audiosim.judge.rows import to_json
from audiosim.match import Policy
from audiosim.result import Result, Scale, undefined
from audiosim.signal import Signal
from audiosim.testing.signals import affordable, noise
from tests.batches import row

RATE = 16000


def result(value, **fields):
    return Result(value=value, per_channel=np.array([value]), unit="dB", better="higher", **fields)


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

    shares = [n for n in metrics.names() if metrics.get(n).card.profile == "share"]
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
        found = gates.verdict(gates.parse(gate), undefined("the reference is silent", 1, Scale("dB", "higher")))
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


# Gates on channels


@pytest.mark.parametrize(
    ("text", "channel", "pooled", "spec"),
    [
        ("min_channel(snr)>=60", "min", None, "snr"),
        (" max_channel ( log-mel ) < 60 ", "max", None, "log-mel"),
        ("min_channel(mse:weighting=hp,coef=0.9)<60", "min", None, "mse:weighting=hp,coef=0.9"),
        ("worst(min_channel(snr))>60", "min", "worst", "snr"),
        ("p95( max_channel(mse) )<=60", "max", "p95", "mse"),
    ],
)
def test_gates_on_channels_are_read(text, channel, pooled, spec):
    gate = gates.parse(text, batch=True)
    assert (gate.text, gate.channel, gate.pooled, gate.spec, gate.limit) == (text, channel, pooled, spec, 60.0)
    if pooled is None:
        assert gates.parse(text) == gate
    else:
        with pytest.raises(UsageError, match="audiosim batch"):
            gates.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("min_channel(snr@100-200)>1", "not a band"),
        ("worst(min_channel(snr@100-200))>1", "not a band"),
        ("min_channel(worst(snr))>1", r"worst\(min_channel\(snr\)\)"),
        ("min_channel(min_channel(snr))>1", "takes a metric"),
        ("min_channel()>1", "takes a metric"),
        ("mean(max(snr))>1", "twice"),
        ("mid_channel(snr)>1", "min_channel or max_channel"),
        ("min_channel(no-metric)>1", "no-metric"),
        ("min_channel(snr)", "OPERATOR"),
    ],
)
def test_other_gates_on_channels_are_usage_errors(text, why):
    with pytest.raises(UsageError, match=why):
        gates.parse(text, batch=True)


@pytest.mark.parametrize(
    ("text", "channels", "value", "reason"),
    [
        ("min_channel(snr)>=60", [70.0, 61.0], 61.0, None),
        ("min_channel(snr)>=60", [188.0, 3.0], 3.0, "in channel 2"),
        ("min_channel(snr)>=60", [inf, 61.0], 61.0, None),
        ("min_channel(snr)>=60", [inf, -inf], -inf, "in channel 2"),
        ("max_channel(log-mel)<3", [1.0, 2.0, 0.0], 2.0, None),
        ("max_channel(log-mel)<3", [1.0, 4.0, 4.0], 4.0, "in channel 2"),
        ("max_channel(log-mel)<3", [5.0], 5.0, "in channel 1"),
        ("min_channel(snr)>=60", [70.0, nan], nan, "undefined: channel 2 has no value"),
        ("min_channel(snr)>=60", [], nan, "undefined: no channel has a value"),
    ],
)
def test_verdicts_on_channels(text, channels, value, reason):
    gate = gates.parse(text)
    answer = replace(result(70.0), per_channel=np.array(channels))
    found = gates.verdict(gate, answer)
    assert (found.passed, found.reason) == (reason is None, reason)
    assert found.value == pytest.approx(value, nan_ok=True)
    told = json.loads(to_json(result_row(gate.spec, answer)))
    assert gates.row(gates.verdict_of_row(gate, told)) == pytest.approx(gates.row(found), nan_ok=True)


def test_a_channel_without_a_value_passes_only_where_both_are_silent():
    gate = gates.parse("min_channel(snr)>=60")
    answer = replace(result(nan, status="undefined", reason="channel 2: silent"), per_channel=np.array([70.0, nan]))
    assert gates.verdict(gate, answer).reason == "undefined: channel 2: silent"
    assert gates.verdict(gate, answer, silent=[2]).value == 70.0
    assert gates.verdict(gate, answer, silent=[1]).passed is False
    left = noise(RATE, 0.1, 1)[0]
    quiet, loud = np.stack([left, 0 * left]), np.stack([left, left])
    for ref, test, passed in ((quiet, quiet, True), (quiet, loud, False), (loud, quiet, False)):
        done = compare_signals(Signal.of(ref, RATE), Signal.of(test, RATE), ["snr"], Policy())
        assert gates.judge([gate], done, Policy())[0].passed is passed


def test_channels_are_pooled_over_pairs():
    def pair(name, channels, **fields):
        infinite = {"+inf": [i for i, v in enumerate(channels, 1) if v == inf]}
        known = [v if abs(v) < inf else None for v in channels]
        return row(name, "snr", 90.0, per_channel=known, infinite_channels=infinite, **fields)

    rows = [pair("a", [70.0, inf]), pair("b", [188.0, 3.0]), pair("c", [65.0, 66.0])]

    def asked(text, rows=rows):
        return gates.judge_batch([gates.parse(text, batch=True)], rows)[0]

    worst = asked("worst(min_channel(snr))>=60")
    assert (worst.value, worst.passed, worst.reason) == (3.0, False, "at test/b")
    assert asked("median(min_channel(snr))>=60").value == 65.0
    assert asked("max(max_channel(snr))<200").value == 188.0  # what is infinitely good does not count
    missing = asked("worst(min_channel(snr))>=1", [*rows, pair("d", [70.0, nan])])
    assert (missing.value, missing.passed, missing.reason) == (3.0, False, "1 undefined of 4 pairs")
    silent = pair("d", [70.0, nan], match={"silent_channels": [2]})
    assert asked("worst(min_channel(snr))>=1", [*rows, silent]).passed


# Gates over a batch


@pytest.mark.parametrize(
    ("text", "pooled", "spec", "operator", "limit"),
    [
        ("mean(mr-stft)<=0.8", "mean", "mr-stft", "<=", 0.8),
        (" median ( si-sdr ) > -3 ", "median", "si-sdr", ">", -3.0),
        ("p95(mse:weighting=hp,coef=0.9)<3", "p95", "mse:weighting=hp,coef=0.9", "<", 3.0),
        ("p99.9(mse)<1", "p99.9", "mse", "<", 1.0),
        ("worst(si-sdr)>=10", "worst", "si-sdr", ">=", 10.0),
    ],
)
def test_gates_over_a_batch_are_read(text, pooled, spec, operator, limit):
    gate = gates.parse(text, batch=True)
    assert (gate.text, gate.pooled, gate.spec, gate.operator, gate.limit) == (text, pooled, spec, operator, limit)
    assert gates.specs([gate]) == [spec]
    assert gates.parse("si-sdr>=20", batch=True).pooled is None


@pytest.mark.parametrize(
    "text",
    ["mode(mse)<1", "p101(mse)<1", "p(mse)<1", "mean(mse@100-200)<1", "mean(no-metric)<1", "mean(mse)", "mean()<1"],
)
def test_other_gates_over_a_batch_are_usage_errors(text):
    with pytest.raises(UsageError):
        gates.parse(text, batch=True)


def test_one_pair_has_no_mean():
    with pytest.raises(UsageError, match="audiosim batch"):
        gates.parse("mean(mse)<1")


def over(text, values, spec="mse", **options):
    rows = [row(f"{i}", spec, v) if isinstance(v, float) else row(f"{i}", spec, status=v) for i, v in enumerate(values)]
    (found,) = gates.judge_batch([gates.parse(text, batch=True)], rows, **options)
    return found


@pytest.mark.parametrize(
    ("pooled", "value"), [("mean", 4.0), ("median", 2.5), ("min", 1.0), ("max", 10.0), ("worst", 10.0), ("p25", 1.75)]
)
def test_what_of_a_batch_is_asked(pooled, value):
    found = over(f"{pooled}(mse)<=0.5", [1.0, 10.0, 2.0, 3.0])
    assert (found.value, found.passed, found.missed_by) == (value, False, pytest.approx(value - 0.5))
    assert over(f"{pooled}(mse)<=10", [1.0, 10.0, 2.0, 3.0]).passed


def test_worst_knows_the_direction_and_names_the_file():
    found = over("worst(si-sdr)>=10", [30.0, 5.0, 20.0], "si-sdr")
    assert (found.value, found.missed_by, found.reason) == (5.0, 5.0, "at test/1")
    assert over("worst(si-sdr)>=5", [30.0, 5.0], "si-sdr").reason is None


def test_a_gate_over_a_batch_holds_for_every_system_or_not_at_all():
    rows = [row("a", "mse", 1.0, "one"), row("a", "mse", 3.0, "two"), row("b", "mse", 2.0, "two")]
    one, two = gates.judge_batch([gates.parse("mean(mse)<=2", batch=True)], rows)
    assert (one.system, one.passed) == ("one", True)
    assert (two.system, two.passed, two.value) == ("two", False, 2.5)
    assert gates.row(two)["system"] == "two"
    assert "system" not in gates.row(gates.Verdict(gates.parse("mse<1"), 1.0, True, 0.0))


@pytest.mark.parametrize("status", ["undefined", "error"])
def test_pairs_without_a_number_fail_a_gate_over_the_batch(status):
    found = over("mean(mse)<=2", [1.0, status])
    assert not found.passed
    assert found.value == 1.0
    assert found.reason == f"1 {status} of 2 pairs"
    assert over("mean(mse)<=2", [1.0, status], allow_failures=True).passed
    assert not over("mean(mse)<=0.5", [1.0, status], allow_failures=True).passed
    nothing = over("mean(mse)<=2", [status], allow_failures=True)
    assert not nothing.passed
    assert isnan(nothing.value)
    (absent,) = gates.judge_batch([gates.parse("mean(mse)<=2", batch=True)], [])
    assert not absent.passed


def test_infinite_values_in_a_batch():
    assert over("mean(si-sdr)>=15", [10.0, 20.0, inf], "si-sdr").value == 15.0
    assert over("mean(si-sdr)>=15", [10.0, 20.0, -inf], "si-sdr").value == -inf
    assert over("mean(si-sdr)>=15", [inf, inf], "si-sdr").passed
    assert over("median(si-sdr)>=15", [10.0, inf, inf], "si-sdr").value == 10.0
    assert over("max(si-sdr)>=15", [10.0, inf, inf], "si-sdr").value == 10.0
    assert over("median(si-sdr)>=15", [10.0, -inf], "si-sdr").value == -inf
    assert over("worst(si-sdr)>=15", [inf, -inf], "si-sdr").missed_by == inf


# Baselines


@pytest.mark.parametrize(
    ("text", "spec", "old", "allowed"),
    [
        ("mr-stft=2%", "mr-stft", 0.5, 0.01),
        ("si-sdr=0.5", "si-sdr", -20.0, 0.5),
        ("si-sdr = 5 %", "si-sdr", -20.0, 1.0),
        ("all=1%", None, 3.0, 0.03),
        ("mse:weighting=hp,coef=0.9=10%", "mse:weighting=hp,coef=0.9", 1.0, 0.1),
    ],
)
def test_tolerances_are_read(text, spec, old, allowed):
    found = gates.parse_tolerance(text)
    assert found.spec == spec
    assert found.allows(old) == pytest.approx(allowed)


@pytest.mark.parametrize(
    "text", ["", "mr-stft", "mr-stft=", "=2%", "mr-stft=2%%", "mr-stft=-1", "no-metric=1%", "mse=inf"]
)
def test_other_tolerances_are_usage_errors(text):
    with pytest.raises(UsageError):
        gates.parse_tolerance(text)


def against(new, old, *tolerances):
    (found,) = gates.compare_with_baseline([new], [old], [gates.parse_tolerance(t) for t in tolerances])
    return found


@pytest.mark.parametrize(
    ("spec", "old", "new", "tolerances", "kind"),
    [
        ("mse", 1.0, 1.0, [], "same"),
        ("mse", 1.0, 1.0 + 1e-7, [], "same"),  # rounding
        ("mse", 1.0, 1.00001, [], "worse"),
        ("mse", 1.0, 0.9, [], "better"),
        ("si-sdr", 20.0, 19.0, [], "worse"),
        ("si-sdr", 20.0, 21.0, [], "better"),
        ("si-sdr", -20.0, -21.0, ["si-sdr=4%"], "worse"),
        ("si-sdr", -20.0, -21.0, ["si-sdr=6%"], "same"),
        ("si-sdr", -20.0, -21.0, ["si-sdr=1.5"], "same"),
        ("mse", 1.0, 1.05, ["all=10%"], "same"),
        ("mse", 1.0, 1.05, ["mse=1%", "all=10%"], "worse"),  # the metric's own counts first
        ("mse:weighting=hp", 1.0, 1.05, ["mse=1%", "mse:weighting=hp=10%"], "same"),
        ("mse", 0.0, 1e-30, [], "worse"),
        ("si-sdr", inf, inf, [], "same"),
        ("si-sdr", inf, 90.0, ["all=50%"], "worse"),
        ("si-sdr", 90.0, inf, [], "better"),
        ("si-sdr", 90.0, -inf, ["all=50%"], "worse"),
    ],
)
def test_what_got_worse(spec, old, new, tolerances, kind):
    found = against(row("a", spec, new), row("a", spec, old), *tolerances)
    assert found.kind == kind
    assert found.passed == (kind in ("same", "better"))
    assert found.reason is None
    assert (found.worse_by > 0) == (kind == "worse" or new in (1.0 + 1e-7, 1.05, -21.0))


def test_what_is_new_missing_or_without_a_number():
    old = [row("a"), row("b"), row("c", status="error"), row("d", status="undefined"), row("gone"), row("a", "mse")]
    new = [row("a"), row("b", status="error"), row("c"), row("d", status="error"), row("new")]
    found = {c.id: c for c in gates.compare_with_baseline(new, old)}
    assert {name: (c.kind, c.passed) for name, c in found.items()} == {
        "a": ("same", True),
        "b": ("worse", False),
        "c": ("better", True),
        "d": ("same", True),
        "new": ("new", True),
        "gone": ("missing", False),  # and mse, which nobody asked for, is not missed
    }
    assert found["b"].reason == "it had a value and is now error: made up as error"
    assert found["b"].severity == inf
    assert found["gone"].data()["passed"] is False


def test_systems_have_baselines_of_their_own():
    old = [row("a", value=0.1, system="one"), row("a", value=0.9, system="two")]
    assert all(c.kind == "same" for c in gates.compare_with_baseline(old[::-1], old))


@pytest.mark.parametrize("other", [{"metric_version": 99}, {"options": {"weighting": "hp"}}])
def test_another_version_or_other_options_cannot_be_compared(other):
    found = against(row("a", **other), row("a"))
    assert (found.kind, found.passed) == ("other", False)
    assert "write a new baseline" in found.reason
    assert next(iter(other.values())) == 99 or "weighting=hp" in found.reason


def test_changes_of_different_metrics_are_sorted_by_their_share():
    found = [
        against(row("a", "si-sdr", 10.0), row("a", "si-sdr", 20.0)),
        against(row("a", "mse", 1e-8), row("a", "mse", 1e-9)),
    ]
    assert sorted(found, key=lambda c: -c.severity)[0].spec == "mse"
