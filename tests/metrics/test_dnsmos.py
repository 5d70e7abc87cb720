"""DNSMOS and PLCMOS around their networks, for which stand-ins stand: windows, options, reasons. Their values beside
those of speechmos: tests/trained/test_speechmos.py."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import Signal, audio, compare, metrics
from audiosim.errors import ExitCode, MissingModel
from audiosim.testing.signals import noise, pink, speech_like
from audiosim.trained import weights

RATE = 16000
RATERS = ("dnsmos", "dnsmos:output=p808", "plcmos")


@pytest.mark.parametrize(
    ("seconds", "windows"), [(1, 7), (8, 7), (9.02, 1), (10.9, 1), (11.2, 2), (16.9, 7), (18, 7), (35, 9)]
)
def test_windows_of_a_second_are_those_of_the_original(seconds, windows):
    """1 s is repeated to 16 s; of 35 s those that begin after 7 to 23 s are left out."""
    x = pink(RATE, seconds, 1)
    result = compare(x, x, "dnsmos:output=p808", RATE, detail="profile")["dnsmos:output=p808"]
    assert len(result.per_time) == windows
    assert result.value == pytest.approx(np.mean(result.per_time), rel=1e-12)
    starts = result.times - min(seconds, 9.01) / 2
    assert not ((starts > 6.5) & (starts < 23.5)).any()


@pytest.mark.parametrize("spec", RATERS)
def test_the_reference_is_not_heard_but_for_the_drop(spec):
    test, ref, other = noise(RATE, 2, 1), speech_like(RATE, 2, 2), pink(RATE, 2, 3)
    alone = compare(ref, test, spec, RATE)[spec]
    assert compare(other, test, spec, RATE)[spec].value == alone.value
    assert compare(0 * ref, test, spec, RATE)[spec].value == alone.value
    assert compare(ref, 0 * test, spec, RATE)[spec].reason == "the test is silent"
    dropped = f"{spec}{',' if ':' in spec else ':'}drop=true"
    drop = compare(ref, test, dropped, RATE, detail="profile")[dropped]
    assert drop.value == compare(ref, ref, spec, RATE)[spec].value - alone.value
    assert drop.value == drop.details["reference"] - drop.details["test"]
    assert (drop.better, alone.better) == ("lower", "higher")
    assert drop.per_time.mean() == pytest.approx(drop.value, abs=1e-12)
    assert compare(0 * ref, test, dropped, RATE)[dropped].reason == "the reference is silent"
    assert compare(test, test, dropped, RATE)[dropped].value == 0


def test_one_pass_of_the_network_serves_all_outputs(monkeypatch):
    passes = []
    of = metrics.get("dnsmos").module._p835
    monkeypatch.setattr(metrics.get("dnsmos").module, "_p835", lambda *given: passes.append(1) or of(*given))
    x = noise(RATE, 9.5, 1)
    found = compare(x, x, ["dnsmos", "dnsmos:output=sig", "dnsmos:output=bak"], RATE)
    assert len(passes) == 1
    assert list(found["dnsmos"].details.values()) == [
        found[spec].value for spec in ("dnsmos:output=sig", "dnsmos:output=bak", "dnsmos")
    ]


def test_what_is_too_short_for_plcmos_is_a_reason_and_no_error():
    """Its pooling would leave nothing."""
    x = noise(RATE, 1, 1)
    for samples in (1, 1280):
        found = compare(x[:, :samples], x[:, :samples], ["plcmos", "mae"], RATE)
        assert found["plcmos"].reason == f"the test is too short: 1281 samples are needed, there are {samples}"
        assert found["mae"].value == 0
    assert compare(x[:, :1281], x[:, :1281], "plcmos", RATE)["plcmos"].status == "ok"


@pytest.mark.parametrize("spec", RATERS)
def test_a_missing_network_is_one_line_and_exit_code_2(spec, cli, monkeypatch):
    def find(name, path=None):
        raise MissingModel(f"the model {name} is not here: audiosim models get {name}")

    monkeypatch.setattr(weights, "find", find)
    audio.save("x.wav", Signal.of(noise(RATE, 0.1, 1), RATE))
    done = cli("compare", "x.wav", "x.wav", "-m", spec)
    assert done.code == ExitCode.USAGE
    assert "is not here: audiosim models get" in done.err
    assert done.err.count("\n") == 1
