"""pmsqe: the original's numbers, where it hears what, and how it follows PESQ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load, metrics
from audiosim.judge.explain import explain
from audiosim.result import Result
from audiosim.signal import Signal
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    affordable,
    clipping,
    dc,
    dropout,
    gain,
    high_pass,
    low_pass,
    noise,
    reverb,
    speech_like,
)

RATE = 16000
DAMAGES: dict[str, Callable[[Array], Array]] = {
    "noise": lambda x: added_noise(x, RATE, 0.1, 1),
    "reverb": lambda x: reverb(x, RATE, 1.0, 1),
    "clipping": lambda x: clipping(x, RATE, 0.9),
    "dropout": lambda x: dropout(x, RATE, 0.4),
    "low-pass": lambda x: low_pass(x, RATE, 0.3),
    "dc": lambda x: dc(x, RATE, 1.0),
}
SWITCHES = [(True, True), (False, True), (True, False), (False, False)]
compiled = pytest.mark.skipif(not COMPILED, reason="takes seconds of speech; tests/hearing holds its kernels")


def pmsqe(ref: Array, test: Array, frequency_eq: bool = True, gain_eq: bool = True, **options: Any) -> Result:
    spec = f"pmsqe:frequency_eq={frequency_eq},gain_eq={gain_eq}"
    return compare(ref, test, spec, RATE, **options)[spec]


# The original


@compiled
@pytest.mark.parametrize(
    ("damage", "numbers", "default"),
    [
        ("noise", (1.58872059, 1.60407612, 2.86873661, 2.91090817), 1.5887209),
        ("reverb", (2.10690853, 2.07503038, 3.61169311, 3.53671462), 2.1069086),
        ("clipping", (1.28648903, 1.50518154, 1.50383820, 1.57197172), 1.2864894),
        ("dropout", (0.77720092, 0.48042036, 0.83246313, 0.47835408), 0.7772012),
        ("low-pass", (0.40130602, 0.93095235, 0.43760131, 0.82006379), 0.4013180),
        ("dc", (1.85111246, 1.86906351, 3.66657961, 3.69945628), 1.8511124),
    ],
)
def test_numbers_of_the_original(damage: str, numbers: tuple[float, ...], default: float) -> None:
    """asteroid 92c8d83, SingleSrcPMSQE(bark_eq=..., gain_eq=...).double()(test, ref) with EPS = 0, of |rfft|^2 of
    frames of 512 samples, 256 apart, under the root of a periodic Hann window; default: as it comes, in float32."""
    x = speech_like(RATE, 2.0, 5)
    y = DAMAGES[damage](x)
    for switches, expected in zip(SWITCHES, numbers, strict=True):
        assert pmsqe(x, y, *switches).value == pytest.approx(expected, rel=1e-6), switches
    assert pmsqe(x, y).value == pytest.approx(default, rel=1e-4)


@compiled
def test_follows_pesq(shared: Path) -> None:
    """Raw wide-band PESQ, pesq 0.0.4, where nothing is late; oracles/speech.json names the call."""
    folder, ours, theirs = shared / "audio" / "speech", [], []
    for pair in json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values():
        if any(word in pair["id"] for word in ("delay", "real", "short")):
            continue
        ref, test = (load(folder / pair[end]).samples for end in ("ref", "deg"))
        ours.append(pmsqe(ref, test, length="trim").value)
        theirs.append(pair["metrics"]["pesq.wb_raw"])
    assert len(ours) > 70
    ranks = (np.argsort(np.argsort(x)) for x in (ours, theirs))
    assert np.corrcoef(*ranks)[0, 1] < -0.85


# What it hears


def test_no_level_and_no_difference_is_exactly_nothing() -> None:
    x = noise(RATE, affordable(1.0), 6, 2)
    for switches in SWITCHES:
        assert pmsqe(x, x.copy(), *switches).value == 0
        assert pmsqe(x, -x, *switches).value == 0
    y = added_noise(x, RATE, 0.1, 1)
    assert pmsqe(x, gain(y, RATE, 1.0)).value == pytest.approx(pmsqe(x, y).value, rel=1e-9)


@compiled
def test_what_is_made_equal_is_not_heard() -> None:
    x = speech_like(RATE, 2.0, 7)
    tilted = x + 0.5 * np.roll(x, 1, axis=1)
    assert pmsqe(x, tilted).value < 0.5 * pmsqe(x, tilted, frequency_eq=False).value
    steps = np.repeat([1.0, 0.5], x.shape[1] // 2)
    assert pmsqe(x, steps * x).value < 0.5 * pmsqe(x, steps * x, gain_eq=False).value


@compiled
def test_explain_finds_lost_words_and_bands_with_noise() -> None:
    x = speech_like(RATE, 6.0, 10)
    y = x.copy()
    y[:, 3 * RATE : int(3.5 * RATE)] = 0
    found = explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "pmsqe").regions[0]
    assert 2.9 < found.start < found.end < 3.6
    result = pmsqe(x, x + 0.1 * high_pass(added_noise(0 * x, RATE, 1.0, 1), RATE, 0.9), detail="map")
    assert result.per_band is not None
    assert result.bands is not None
    assert result.map is not None
    assert result.added is not None
    assert result.per_band[result.bands < 1000].max() < 0.1 * result.per_band[result.bands > 4000].max()
    assert result.added.sum() > 0.8 * result.map.sum()
    assert (result.added <= result.map).all()


def test_profile_is_in_its_own_unit() -> None:
    x = noise(RATE, affordable(1.0), 8)
    result = pmsqe(x, added_noise(x, RATE, 0.3, 1), detail="map")
    assert result.per_time is not None
    assert result.map is not None
    assert result.per_time.mean() == pytest.approx(result.value, rel=1e-9)
    np.testing.assert_allclose(result.map.sum(1) * len(result.map), result.per_time, rtol=1e-9)
    named = result.details
    assert 0.1 * named["symmetric"] + 0.0309 * named["asymmetric"] == pytest.approx(result.value, rel=1e-12)


# Its edges


def test_what_has_no_number_says_why() -> None:
    x = noise(RATE, affordable(1.0), 9)
    silent = np.zeros_like(x)
    assert pmsqe(silent, x).reason == "the reference is silent between 350 and 3250 Hz"
    assert pmsqe(x[:, :511], x[:, :511]).reason == "too short: a frame takes 512 samples, there are 511"
    assert pmsqe(x, silent).value > pmsqe(x, added_noise(x, RATE, 0.1, 1)).value
    both = pmsqe(np.concatenate([x, silent]), np.concatenate([x, x]), detail="map")
    assert both.reason == "channel 2: the reference is silent between 350 and 3250 Hz"
    assert metrics.get("pmsqe").card.rate == RATE


@compiled
def test_a_network_can_learn_from_it() -> None:
    """Noise is subtracted again, by descent on its gain."""
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x, hiss = (torch.from_numpy(z) for z in (speech_like(RATE, 1.0, 11), noise(RATE, 1.0, 1)))
    factor = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    loss = Loss("pmsqe", RATE)
    before = loss(x + factor * hiss, x).item()
    optimizer = torch.optim.Adam([factor], lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        loss(x + factor * hiss, x).backward()
        optimizer.step()
    assert loss(x + factor * hiss, x).item() < 0.5 * before
