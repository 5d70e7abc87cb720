"""Comparisons to report on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audiosim.comparison import Comparison, compare_signals
from audiosim.judge import gates
from audiosim.judge.assembly import pair_row
from audiosim.judge.rows import flat
from audiosim.match import Policy
from audiosim.signal import Signal
from audiosim.testing.signals import affordable, noise

RATE = 16000
SPECS = ("mse", "si-sdr")
Pair = tuple[list[dict[str, Any]], Comparison]


@pytest.fixture(scope="session")
def pair() -> Callable[..., Pair]:
    """(name of the test, level of the noise in it, ...) -> (its rows as compare writes them, the comparison)."""

    def make(
        name: str = "test.wav",
        level: float = 0.1,
        *,
        reference: str = "ref.wav",
        seconds: float = 0.25,
        require: tuple[str, ...] = (),
        specs: tuple[str, ...] = SPECS,
        channels: int = 1,
        gain: float = 1.0,
    ) -> Pair:
        ref = noise(RATE, affordable(seconds), 1, channels)
        test = gain * (ref + level * noise(RATE, affordable(seconds), 2, channels))
        compared = compare_signals(Signal.of(ref, RATE), Signal.of(test, RATE), specs, Policy(), detail="map", jobs=1)
        verdicts = gates.judge([gates.parse(r) for r in require], compared, Policy(), 1)
        row = pair_row(
            reference,
            name,
            compared.results,
            [gates.row(v) for v in verdicts],
            rate=RATE,
            channels=channels,
            duration_s=compared.ref.duration,
            match=compared.match,
        )
        return flat([row]), compared

    return make


@pytest.fixture(scope="session")
def batch(pair: Callable[..., Pair]) -> tuple[list[dict[str, Any]], Callable[..., Comparison]]:
    """The rows of two systems on three items, the second system the worse, and what compares a pair of them."""
    known, rows = {}, []
    for i in range(3):
        for system, level in (("one", 0.01), ("two", 0.1)):
            own, compared = pair(f"{system}-{i}.wav", level * (i + 1))
            caused = [{"cause": "gain", "size": 1.0, "unit": "dB", "sentence": f"the test is {i} dB louder"}]
            rows += [{**r, "id": f"item-{i}", "system": system, "causes": caused} for r in own]
            known[f"{system}-{i}.wav"] = compared
    return rows, lambda asked: known[asked[0]["test"]]
