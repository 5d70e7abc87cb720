"""Results as rows: what identical recordings are called, and which infinity a row read from JSON holds."""

from __future__ import annotations

import json
from math import inf, isfinite, nan

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.judge import gates
from audiosim.judge.assembly import result_row
from audiosim.judge.rows import composed, extreme, number, per_channel, to_json
from audiosim.result import IDENTICAL, Result
from audiosim.testing.signals import speech_like

RATE = 16000
OPEN = [name for name in metrics.names() if metrics.get(name).card.identical is None]
KNOWN = ["mse", "log-mel", "auditory", "sdr"]


@pytest.mark.parametrize("spec", [*OPEN, *KNOWN])
def test_identical_recordings_are_called_identical_where_the_card_knows_no_value(spec: str) -> None:
    x = speech_like(RATE, 2.0, seed=1)
    result = compare(x, x.copy(), spec, RATE)[spec]
    if result.status == "ok":
        assert isfinite(result.value)
        assert result.reason == (IDENTICAL if spec in OPEN else None)
    else:
        assert (result.value, result.status, result.reason) == (inf, "infinite", IDENTICAL)
    y = x + 0.1 * np.random.default_rng(1).normal(size=x.shape)
    assert compare(x, y, spec, RATE)[spec].reason is None


def test_one_channel_of_two_that_is_identical_is_not_the_recording() -> None:
    x = speech_like(RATE, 1.0, seed=1)[:1]
    both, one = np.concatenate([x, x]), np.concatenate([x, 0.9 * x])
    assert compare(both, both, "snr", RATE)["snr"].reason == IDENTICAL
    assert compare(both, one, "snr", RATE)["snr"].reason is None


def test_silence_keeps_its_own_reason() -> None:
    silent = np.zeros((1, RATE))
    result = compare(silent, silent, "snr", RATE)["snr"]
    assert result.status == "undefined"
    assert result.reason != IDENTICAL


def test_gates_do_not_ask_for_the_reason() -> None:
    gate, closer = gates.parse("snr>=60"), gates.parse("snr>=1e6")
    result = Result(value=188.0, per_channel=np.array([188.0]), unit="dB", better="higher", reason=IDENTICAL)
    passed, failed = gates.verdict(gate, result), gates.verdict(closer, result)
    assert (passed.passed, passed.reason) == (True, None)
    assert (failed.passed, failed.reason) == (False, None)


@pytest.mark.parametrize("reason", [None, "no distortion at all", "information is infinite", "channel 2: -inf"])
@pytest.mark.parametrize("value", [inf, -inf])
def test_the_sign_of_an_infinite_value_survives_json(value: float, reason: str | None) -> None:
    channels = np.array([value])
    result = Result(value=value, per_channel=channels, unit="dB", better="higher", status="infinite", reason=reason)
    row = json.loads(to_json(result_row("si-sdr", result)))
    assert row["value"] is None
    assert number(row) == value
    assert number({**row, "status": "undefined"}) != number({**row, "status": "undefined"}), nan


def test_a_channel_without_a_value_is_told_beside_one_that_has_one() -> None:
    """The pair has a value, of all channels together; a channel that is silent in the reference has none."""
    x = speech_like(RATE, 1.0, seed=1)[:1]
    ref, test = np.concatenate([x, 0 * x]), np.concatenate([0.9 * x, 0.1 * x])
    result = compare(ref, test, "snr", RATE)["snr"]
    assert result.status == "ok"
    assert np.isnan(result.per_channel).tolist() == [False, True]
    text = to_json(result_row("snr", result))
    assert "NaN" not in text
    row = json.loads(text)
    assert row["per_channel"] == [result.per_channel[0], None]
    assert row["infinite_channels"] is None
    assert extreme(per_channel(row), "min")[1] == 2
    for of in ("min", "max"):
        gate = gates.parse(f"{of}_channel(snr)>=-100")
        for told in (gates.verdict(gate, result), gates.verdict_of_row(gate, {**row, "match": {}})):
            assert (told.passed, told.reason) == (False, "undefined: channel 2 has no value")


def test_names_are_compared_in_one_unicode_form() -> None:
    assert composed("e\u0301") == "\u00e9" == composed("\u00e9")
    assert composed("\ufb01le") == "\ufb01le", "a ligature is another name"
