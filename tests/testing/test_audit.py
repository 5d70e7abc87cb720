"""The audit finds what is known of metrics in closed form, what the cards of ours say, and what a card lies about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import audiosim
from audiosim import metrics, outside, watch
from audiosim.errors import InputError, UsageError
from audiosim.testing import audit as auditing
from audiosim.testing.audit import PROPERTIES, Audit, audit
from audiosim.testing.signals import COMPILED, chord_music, noise, speech_like

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not COMPILED, reason="hundreds of comparisons, too slow uncompiled")

RATE = 16000
SOUNDS = [f(RATE, 0.5, 3) for f in (speech_like, chord_music)]
AXIOMS = ["identity", "minimality", "symmetry", "symmetry.direction", "triangle", "triangle.size"]
GRADIENT = [name for name in PROPERTIES if name.startswith("gradient")]
CHANGES = [name for name in PROPERTIES if name.startswith("invariance")]


def of(spec: str, *only: str) -> Audit:
    return audit(spec, SOUNDS, rate=RATE, only=only)


def test_root_mean_square_is_a_metric_and_its_square_is_none() -> None:
    rmse, mse = of("rmse", *AXIOMS), of("mse", *AXIOMS)
    assert not rmse.contradicted
    assert rmse["triangle"].value == 0
    assert rmse["triangle.size"].value <= 1 + 1e-9
    assert rmse["symmetry"].value == rmse["identity"].value == rmse["minimality"].value == 0
    assert mse["triangle"].value > 0.1
    assert mse["triangle.size"].value == pytest.approx(2, rel=1e-6)  # twice the noise: 2^2 against 1 + 1


def test_asymmetry_is_that_of_the_energy_that_divides() -> None:
    """esr divides by the energy of the reference: exchanged, the two differ as these energies do."""
    esr = of("esr", *AXIOMS)
    assert not esr.contradicted
    assert esr["symmetry"].value > 0.1
    assert esr["symmetry.direction"].value < 1
    assert of("si-sdr", "symmetry").contradicted == []


def test_invariances_in_closed_form() -> None:
    found = of("rmse", *CHANGES)
    one = (10**0.05 - 10**-0.05) / 2  # mean of up and down
    assert found["invariance.polarity"].value == pytest.approx(2 / 0.1, rel=0.02)
    assert found["invariance.gain_1_db"].value == pytest.approx(one / 0.1, rel=0.02)
    assert found["invariance.gain_0.1_db"].value == pytest.approx(np.log(10) / 200 / 0.1, rel=0.02)
    loudness = [0.1 * np.sqrt(np.mean(x**2)) for x in SOUNDS]
    assert found["invariance.dc"].value == pytest.approx(np.mean([0.01 / s for s in loudness]), rel=0.02)
    dither = np.sqrt(1 / 12 + 1 / 6) / 32768  # rounding, and triangular noise of a step to either side
    assert found["invariance.dither"].value == pytest.approx(np.mean([dither / s for s in loudness]), rel=0.05)
    assert of("si-sdr", "invariance.polarity", "invariance.gain_1_db")["invariance.gain_1_db"].value < 1e-6


def test_order_is_that_of_the_strength() -> None:
    found = of("rmse", *(name for name in PROPERTIES if name.startswith("monotony")))
    assert {name for name in auditing.GRADED if found[f"monotony.{name}"].value == 1} >= {"noise", "gain", "clipping"}
    assert found["monotony"].value == min(found[f"monotony.{name}"].value for name in auditing.GRADED)
    assert of("si-sdr", "monotony.gain")["monotony.gain"].value == 0  # it cannot hear it: all are equal


def test_added_sound_counts_twice_where_it_should_and_masked_noise_little() -> None:
    waveform, tversky = (of(spec, "added_to_missing", "masking") for spec in ("rmse", "tversky"))
    assert waveform["added_to_missing"].value == pytest.approx(1)
    assert waveform["masking"].value == pytest.approx(1, rel=0.05)
    assert 1.7 < tversky["added_to_missing"].value < 2.1  # alpha / beta is 2
    assert tversky["masking"].value > 8


def test_only_transport_knows_which_way_a_pitch_must_move() -> None:
    ours, blind = (of(spec, "pitch.value", "pitch.gradient") for spec in ("spectral-transport", "mse"))
    assert ours["pitch.value"].value > 0.95
    assert ours["pitch.gradient"].value > 0.9
    assert 0.3 < blind["pitch.value"].value < 0.7
    assert 0.3 < blind["pitch.gradient"].value < 0.7


@pytest.mark.parametrize("spec", ["lsd", "si-sdr", "tversky", "pesq", "wss"])
def test_cards_of_ours_say_what_is_true(spec: str) -> None:
    found = audit(spec, only=[*AXIOMS, "insensitive", *GRADIENT, "cost", "range"])
    assert [f.name for f in found.contradicted] == []
    assert len([f for f in found.findings if f.agrees]) >= 5


def test_it_is_the_same_every_time() -> None:
    first, second = (of("log-mel", "masking", "symmetry", "invariance.dc", "gradient.error") for _ in range(2))
    assert first.findings == second.findings


def test_plain_data_and_words() -> None:
    found = of("wss", "identity", "gradient", "pitch.gradient", "range")
    row = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert row["contradicted"] == 0
    assert row["sounds"] == ["sound 1", "sound 2"]
    assert [f["name"] for f in row["findings"]] == ["identity", "pitch.gradient", "gradient", "range"]
    assert row["findings"][1] | {"value": None, "reason": "the metric has no gradient"} == row["findings"][1]
    assert "identity        identical files give 0 (card: identical=0: agreed)" in str(found)
    assert audiosim.audit is audit


def test_the_card_speaks_of_the_defaults() -> None:
    assert of("tversky:preset=symmetric", "symmetry")["symmetry"].claim == ""
    assert of("tversky", "symmetry")["symmetry"].claim == "not symmetric"


def test_descent_recovers_other_metrics() -> None:
    found = audit("mse", SOUNDS[0][:, :4096], rate=RATE, only=["recovery"], full=True)["recovery"]
    assert found.value < 0.6
    assert "log-mel" in found.says


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = of("mse", "gradient", "pitch.gradient", "symmetry")
    assert found["gradient"].reason == "torch is not installed: pip install torch"
    assert found["gradient"].agrees is None
    assert found["symmetry"].agrees


# Cards that lie


LIAR = """
'A squared error of what was added, and a card that knows nothing of it.'
import numpy as np
from audiosim import Card
from audiosim.answer import waveform
from audiosim.options import Options

CARD = Card(title="Liar", family="conventional", unit="1", better="lower", identical=0.0, range=(0.0, 0.02),
            formula="mean max(test - ref, 0)^2", source="a toy", silence="0", caveat="a toy",
            symmetric=True, triangle=True, insensitive_to=("gain",), gradient="exact", zero_gradient_on_silence=True,
            profile="share", map="share")

Options = Options

def measure(pair, o):
    ref, test = pair.samples
    return waveform(pair, float(np.mean(np.maximum(test - ref, 0) ** 2)))

def twin(rate, o):
    return lambda ref, test: (SLOPE).mean(1)
"""
WRONG = "(test.detach() - ref).relu() ** 2 + 3 * (test - test.detach()) * (test.detach() - ref).relu()"


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    monkeypatch.setattr(outside, "_files", {})
    monkeypatch.setattr(watch, "_examined", set())
    file = tmp_path / "liar.py"
    file.write_text(LIAR.replace("SLOPE", getattr(request, "param", WRONG)))
    metrics.add_file(file)
    yield "liar"
    outside._found.cache_clear()


def test_every_lie_is_found(liar: str) -> None:
    found = audit(liar, only=[*AXIOMS, "insensitive", *GRADIENT, "range"])
    lies = {f.name for f in found.contradicted}
    assert lies == {
        "symmetry",
        "triangle",
        "insensitive",
        "gradient.error",
        "gradient.silence",
        "gradient.second",
        "range",
    }
    verdict = auditing.rule("contradicted<=0").judge(found)
    assert (verdict["passed"], verdict["value"]) == (False, 7)
    assert "symmetry: changed by" in verdict["reason"]


@pytest.mark.parametrize("liar", ["1 / 0 * test"], indirect=True)
def test_a_loss_that_fails_is_told(liar: str) -> None:
    (found,) = audit(liar, only=["gradient"]).findings
    assert found.agrees is False
    assert found.reason == "its loss fails: ZeroDivisionError: division by zero"


# What cannot be done


def test_wrong_questions_are_told_in_one_line() -> None:
    for text in ("monotony", "monotony=1", "monotony>=x", ""):
        with pytest.raises(UsageError, match="is not PROPERTY OPERATOR NUMBER"):
            auditing.rule(text)
    with pytest.raises(UsageError, match="there is no property 'monotonny', did you mean 'monotony'"):
        auditing.rule("monotonny>=1")
    with pytest.raises(UsageError, match="there is no property 'speed'"):
        audit("mse", only=["speed"])
    with pytest.raises(UsageError, match="unknown metric"):
        audit("nothing")


def test_sounds_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="sound 1: is silent"):
        audit("mse", [np.zeros(RATE)], rate=RATE)
    with pytest.raises(InputError, match=r"sound 2: is 0.1 s long; an audit needs 0.25 s"):
        audit("mse", [noise(RATE, 1.0), noise(RATE, 0.1)], rate=RATE)
    with pytest.raises(InputError, match="ncm has no value of these sounds"):
        audit("ncm", [noise(RATE, 0.3)], rate=RATE)


def test_a_rule_on_what_has_no_value_does_not_hold() -> None:
    found = of("wss", "gradient.error", "identity")
    for text, passed in (("identity<=0", True), ("identity>0", False), ("gradient.error<1", False)):
        assert auditing.rule(text).judge(found)["passed"] is passed


def test_the_loudest_part_of_a_long_recording_is_used() -> None:
    x = 1e-3 * noise(RATE, 8.0, 1)
    x[:, 5 * RATE : 7 * RATE] *= 100
    case = auditing._Case("mse", [np.concatenate([x, x])], RATE)
    assert case.seconds == auditing.LONGEST
    assert np.sum(case.sounds[0] ** 2) > 0.99 * np.sum(x**2)
    assert case.sounds[0].shape[0] == 1
