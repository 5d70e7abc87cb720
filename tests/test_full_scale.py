"""Samples beyond full scale are never compared without a word."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, signal as levels
from audiosim.errors import FullScaleWarning, InputError
from audiosim.match import Policy, describe, match
from audiosim.signal import Signal
from audiosim.testing import assert_audio_similar
from audiosim.testing.signals import speech_like

RATE = 16000
X = speech_like(RATE, 1.0, 1, 2)
INT16 = np.rint(X * 32767)


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_warned", set())


def _matched(ref: Any, test: Any, **policy: Any) -> tuple[Signal, Signal, dict[str, Any]]:
    a, b, done = match(Signal.of(ref, RATE, "ref.wav"), Signal.of(test, RATE, "test.wav"), Policy(**policy))
    assert json.loads(json.dumps(done, allow_nan=False)) == done
    return a, b, done


def _peaking(amplitude: float) -> Any:
    return X * (amplitude / np.abs(X).max())


def test_within_full_scale_nothing_is_said() -> None:
    assert _matched(_peaking(1.0), _peaking(-1.0))[2] == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(_peaking(1.0), X, "mse", RATE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_int16(dtype: Any) -> None:
    loud = INT16.astype(dtype)
    for given, names in (((loud, X), ["reference"]), ((X, loud), ["test"]), ((loud, loud), ["reference", "test"])):
        a, b, done = _matched(*given)
        assert np.array_equal(a.samples, given[0])
        assert np.array_equal(b.samples, given[1])
        assert list(done["full_scale"]["peak_dbfs"]) == names
        assert "--full-scale int16" in describe(done)[0]
        with pytest.raises(InputError, match=r"peaks at \+\d+\.\d dBFS.*--full-scale int16.*--full-scale keep"):
            _matched(*given, full_scale="error")
        a, b, done = _matched(*given, full_scale="int16")
        for made in (a, b):
            assert made.samples == pytest.approx(X, abs=4e-5)
        assert done["full_scale"]["scaled"] == names
        assert "divided" in describe(done)[0]


def test_units_of_int24() -> None:
    loud = np.rint(X * (2**23 - 1))
    assert "--full-scale int24" in describe(_matched(X, loud)[2])[0]
    assert _matched(X, loud, full_scale="int24")[1].samples == pytest.approx(X, abs=3e-7)
    with pytest.raises(InputError, match=r"test.wav peaks at .* too much for units of int16.*--full-scale int24"):
        _matched(X, loud, full_scale="int16")
    with pytest.raises(InputError, match=r"too much for units of int24.*export it again"):
        _matched(X, X * 2**31, full_scale="int24")


def test_a_decoder_that_overshoots_is_no_error() -> None:
    for policy in ("error", "int16", "int24", "keep"):
        _, b, done = _matched(X, _peaking(1.9), full_scale=policy)
        assert np.array_equal(b.samples, _peaking(1.9))
        assert describe(done) == ["the test peaks at +5.6 dBFS: samples beyond full scale are compared as they are"]


def test_python_warns_once() -> None:
    with pytest.warns(FullScaleWarning, match=r"\+5.6 dBFS") as mild:
        compare(X, _peaking(1.9), "mse", RATE)
    with pytest.warns(FullScaleWarning, match="full_scale='int16'") as loud:
        compare(X, INT16, "mse", RATE)
    assert {Path(w.filename) for w in (*mild, *loud)} == {Path(__file__)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(X, INT16, "mse", RATE)
        compare(X, _peaking(1.9), "mse", RATE)
    levels._warned.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(INT16, INT16, "mse", RATE, full_scale="int16")
    assert found["mse"].value == 0


def test_assertions_warn_though_the_rule_holds() -> None:
    with pytest.warns(FullScaleWarning, match="full_scale='int16'"):
        assert_audio_similar(INT16, INT16, "mse<=1", rate=RATE)
    with pytest.raises(AssertionError, match="full_scale='int16'"):
        assert_audio_similar(INT16, INT16, "mse<=1", rate=RATE, full_scale="error")


def test_losses_warn_once() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x, loud = torch.tensor(X), torch.tensor(INT16)
    loss = Loss("mse", RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(1.9 * x / x.abs().max(), x)  # an estimate may overshoot
    with pytest.warns(FullScaleWarning, match=r"the target peaks at \+\d+.\d dBFS and the input.*32768") as said:
        value = loss(loud, loud.clone())
    assert Path(said[0].filename) == Path(__file__)
    assert float(value) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            loss(loud, loud)
        Loss("mse", RATE)(loud, loud)


def test_losses_look_again() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x, loud = torch.tensor(X), torch.tensor(INT16)
    loss = Loss("mse", RATE)
    for _ in range(7):
        loss(x, x)
    with pytest.warns(FullScaleWarning):  # the eighth call
        loss(loud, x)
    levels._warned.clear()
    torch.vmap(lambda a, b: Loss("mse", RATE)(a[None], b[None]))(loud, x)  # cannot look there, and does not fail
