"""What values mean: the file of scales against the cards, readings, and contradictions."""

from __future__ import annotations

from math import inf, isinf, nan
from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.diagnosis import Diagnosis, Finding
from audiosim.judge import contradiction, reading, summary
from audiosim.judge.assembly import result_row
from audiosim.judge.explain import card_parts
from audiosim.judge.reading import WIDEST, of_value, scale_of, scales
from audiosim.judge.rows import strict
from audiosim.judge.verdict import RULE_VERSION
from audiosim.presets import PRESETS
from audiosim.result import IDENTICAL, Result

OF_METRICS = [scale for name, found in scales().items() if name != reading.VERDICT for scale in found]
IDS = [f"{s.metric}:{s.options}" for s in OF_METRICS]


@pytest.mark.parametrize("scale", OF_METRICS, ids=IDS)
def test_a_scale_is_of_the_metric_as_it_is(scale: reading.Scale) -> None:
    metric = metrics.get(scale.metric)
    assert scale.version == metric.version, "its values changed: run python -m tests.benchmarks.anchors --write"
    named = {part.partition("=")[0] for part in scale.options.split(",") if part}
    assert named | set(scale.free) <= set(metric.options)
    assert metrics.parse(f"{scale.metric}:{scale.options}".rstrip(":")).name == scale.metric


@pytest.mark.parametrize("scale", OF_METRICS, ids=IDS)
def test_anchors_go_from_good_to_bad(scale: reading.Scale) -> None:
    card = metrics.get(scale.metric).card
    sign = 1 if card.better == "lower" else -1
    ends = [sign * a.to for a in scale.anchors]
    assert ends == sorted(set(ends))
    assert ends[-1] == inf
    severity = [a.severity for a in scale.anchors]
    assert severity == sorted(severity)
    assert 0 <= severity[0] <= severity[-1] <= 1
    for anchor in scale.anchors:
        assert 0 < len(anchor.words) <= WIDEST
        assert anchor.source
        assert isinf(anchor.to) or scale.options or card.range[0] <= anchor.to <= card.range[1]


def test_thresholds_are_of_this_rule() -> None:
    assert {s.version for s in scales()[reading.VERDICT]} == {RULE_VERSION}
    assert reading.threshold("quality") == 0.5


def test_official_scales_are_read_as_their_sources_say() -> None:
    assert [of_value("pesq", v).text for v in (4.64, 4.4, 3.4, 2.0, 1.04)] == [
        "excellent",
        "good",
        "fair",
        "poor",
        "bad",
    ]  # type: ignore[union-attr]
    assert [of_value("peaq", v).text for v in (0.1, -1.0, -2.0, -3.9)] == [  # type: ignore[union-attr]
        *("imperceptible", "perceptible, not annoying", "slightly annoying", "very annoying")
    ]
    assert [of_value("two-f", v).text for v in (80.0, 79.9, 10.0)] == ["excellent", "good", "bad"]  # type: ignore[union-attr]


def test_intelligibility_follows_the_published_function() -> None:
    # 100 / (1 + exp(9.6921 - 17.4906 d)): 50 % at d = 0.55413
    stoi = scale_of("stoi")
    assert stoi is not None
    half = next(a for a in stoi.anchors if a.words.startswith("50 to 75"))
    assert half.to == pytest.approx(9.6921 / 17.4906, abs=1e-4)


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        ("pesq", True),
        ("pesq:band=narrow", True),  # another value on the same scale
        ("pesq:scale=raw", False),
        ("visqol:exact=true", True),
        ("stoi:extended=true", False),
        ("auditory:level=80", False),
        ("auditory:form=audibility", True),
        ("auditory:form=audibility,level=80", True),
        ("composite:output=bak", True),
        ("snr:weighting=a", False),
        ("mse", False),
        ("lsd", False),
    ],
)
def test_options_that_change_the_scale_leave_none(spec: str, known: bool) -> None:
    parsed = metrics.parse(spec)
    assert (of_value(parsed.name, 1.0, parsed.options) is not None) == known


def test_every_preset_that_people_read_says_something() -> None:
    for name in ("default", "speech", "music", "codec", "intelligibility"):
        parsed = [metrics.parse(spec) for spec in PRESETS[name]]
        assert any(scale_of(p.name, p.options) for p in parsed), name


def _row(spec: str, value: float, **more: Any) -> dict[str, Any]:
    parsed = metrics.parse(spec)
    defaults = {o.name: o.default for o in metrics.get(parsed.name).options.values()}
    options = {**defaults, **parsed.options}
    return {
        "metric": parsed.name,
        "spec": spec,
        "options": options,
        "value": value,
        "status": "ok",
        "reason": None,
        **more,
    }


def test_values_that_are_no_numbers() -> None:
    assert of_value("snr", nan) is None
    assert of_value("snr", inf).severity < 0.1  # type: ignore[union-attr]
    stored = strict(_row("snr", -inf, status="infinite", reason="-inf: a silent reference"))
    assert reading.reading(stored).severity > 0.5  # type: ignore[union-attr]
    assert of_value("nmr", -124.7, reason=IDENTICAL).text == "no difference"  # type: ignore[union-attr]
    assert of_value("dnsmos", 3.14, reason=IDENTICAL).text == "fair", "it judges the test alone"  # type: ignore[union-attr]
    assert of_value("auditory", 0.0).text == "no difference"  # type: ignore[union-attr]
    assert of_value("no-such-metric", 1.0) is None


def test_rows_carry_what_is_read_from_them() -> None:
    result = Result(value=-1.0, per_channel=np.array([-1.0]), unit="ODG", better="higher")
    row = result_row("peaq", result)
    assert row["reading"] == "perceptible, not annoying" == reading.reading(row).text  # type: ignore[union-attr]


def test_cards_state_their_scale_and_where_it_is_from() -> None:
    told = dict(card_parts("auditory")["What values mean"])
    assert told["values"].startswith("up to 0.42: hardly audible; ")
    assert "MUSHRA" in told["their source"]
    assert "values where form=audibility" in told
    assert "What values mean" not in card_parts("mse")


def test_metrics_that_contradict_each_other() -> None:
    rows = [_row("auditory", 0.01), _row("snr", 2.0), _row("stoi", 0.2), _row("mse", 1.0)]
    (line,) = contradiction.contradictions(rows, Diagnosis((Finding("delay", 2.0, "ms"),), None, None))
    assert line.endswith("snr hears a delay of 2 ms that listeners do not")
    (line,) = contradiction.contradictions(rows)
    assert "snr compares samples" in line
    assert contradiction.contradictions([_row("auditory", 0.01), _row("snr", 55.0)]) == []
    assert contradiction.contradictions([_row("auditory", 0.01), _row("stoi", 0.1)]) == []  # another question
    assert contradiction.contradictions([]) == []


def _batch(auditory: float, snr: float) -> summary.Summary:
    """Two systems, twelve pairs; b is so much worse by auditory and so much better by snr."""
    rows = []
    for i in range(12):
        for system, by in (("a", 0.0), ("b", 1.0)):
            for metric, value, better in (("auditory", 1 + by * auditory, "lower"), ("snr", 20 + by * snr, "higher")):
                row = _row(
                    metric, value + 0.01 * i, better=better, unit="1", reference=f"{i}.wav", test=f"{system}{i}.wav"
                )
                rows.append({**row, "id": f"{i}", "system": system, "group": None, "per_channel": None, "worst_s": nan,
                             "match": {}, "rating": None, "start": None, "duration": None, "fault": None,
                             "rate": 48000, "channels": 1, "duration_s": 1.0})  # fmt: skip
    return summary.summarise(rows)


def test_intervals_that_exclude_zero_in_opposite_directions() -> None:
    (line,) = contradiction.of_batch(_batch(1.0, 5.0))
    assert line == "auditory prefers a to b, snr prefers b: the 95 % intervals exclude chance"
    assert contradiction.of_batch(_batch(1.0, -5.0)) == []
    assert contradiction.of_batch(_batch(1.0, 0.0)) == []
    scores = _batch(1.0, 5.0).scores
    assert {s.metric: s.surely_better for s in scores if s.system == "b"} == {"auditory": False, "snr": True}


def test_a_contradiction_is_told_of_the_first_metric_and_by_a_cause_that_makes_it() -> None:
    rows = [_row("auditory", 1.0), _row("snr", 5.0), _row("mfcc", 30.0)]
    late = Finding("delay", 0.07, "ms", share=0.1)
    (line,) = contradiction.contradictions(rows, Diagnosis((late,), None, None))
    assert line.startswith("auditory and snr contradict each other (excellent quality; ")
    assert "delay" not in line
    (line,) = contradiction.contradictions(rows[1:])
    assert line.startswith("mfcc and snr")


def test_what_is_not_at_the_same_time_has_no_contradictions() -> None:
    rows = [_row("auditory", 1.0), _row("snr", 5.0)]
    for cause in ("edit", "speed", "excerpt", "unrelated"):
        assert contradiction.contradictions(rows, Diagnosis((Finding(cause),), None, None)) == []
    turned = [_row("auditory", 0.01), _row("snr", -6.0)]
    (line,) = contradiction.contradictions(turned, Diagnosis((Finding("polarity"),), None, None))
    assert line.endswith("snr hears the polarity, to which auditory is deaf")
