"""Result.domain: rules, distances and p of a stored summary, and what is written and shown of them."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

import audiosim
from audiosim import domain, metrics
from audiosim.judge.rows import pair_row, to_json
from audiosim.metrics import auditory
from audiosim.result import Result
from audiosim.testing.signals import added_noise, affordable, noise, speech_like

RATE = 16000
compute = metrics.get("auditory").compute


def known() -> domain.Summary:
    """Two features, independent, with deviations of 1 and 2; 99 distances from 0.01 to 0.99."""
    return domain.Summary(
        {"seconds": (1.0, 10.0), "rate": (8000.0, None)},
        ("a", "b"),
        np.array([1.0, 2.0]),
        np.diag([1.0, 0.25]),
        np.arange(1, 100) / 100,
    )


def judged(**place: float) -> tuple[str, float]:
    return known().judge({"a": 1.0, "b": 2.0, "seconds": 5.0, "rate": 16000.0} | place)


def test_p_is_the_share_that_lies_as_far_out() -> None:
    assert judged() == ("ok", 1.0)
    assert judged(a=1.505) == ("ok", pytest.approx(0.5))
    assert judged(b=2 - 2 * 0.505) == ("ok", pytest.approx(0.5))
    assert judged(a=1.955) == ("ok", pytest.approx(0.05))
    assert judged(a=1.965) == ("unfamiliar", pytest.approx(0.04))
    assert judged(a=1 + 1.97) == ("unfamiliar", 0.01)
    assert judged(a=1 + 1.99) == ("foreign", 0.01)


def test_a_broken_rule_is_foreign() -> None:
    for place in ({"seconds": 0.9}, {"seconds": 11.0}, {"rate": 7999.0}, {"seconds": nan}):
        assert judged(**place) == ("foreign", 0.01), place
    assert judged(seconds=10.0, rate=8000.0)[0] == "ok"


def test_the_stored_summary_is_of_this_version() -> None:
    stored = json.loads((domain.resources.files("audiosim.tables") / "domain_auditory.json").read_text())
    summary = domain.summary("auditory")
    assert stored["version"] == auditory.CARD.version
    assert summary.features == tuple(auditory.PLACE)
    assert (np.diff(summary.calibrated) >= 0).all()
    assert (np.linalg.eigvalsh(summary.precision) > 0).all()


def test_cards_name_the_domains_that_are_stored() -> None:
    stored = {p.name for p in domain.resources.files("audiosim.tables").iterdir() if p.name.startswith("domain_")}
    assert stored == {domain.FILE.format(n) for n in metrics.own_names() if metrics.get(n).card.domain}


def test_what_listeners_rated_is_familiar_and_what_nobody_rated_is_not() -> None:
    x = speech_like(RATE, affordable(1.0), 1)
    assert compute(x, x, RATE).domain == "ok"
    assert compute(x, added_noise(x, RATE, 0.05), RATE).domain == "ok"
    assert compute(x, 0 * x, RATE).domain == "foreign"
    assert compute(0 * x, x, RATE).domain == "foreign"
    assert compute(0 * x, 0 * x, RATE).domain == "foreign"
    assert compute(1e-4 * x, 1e-4 * x, RATE).domain == "foreign"
    assert compute(x[:, :160], x[:, :160], RATE).domain == "foreign"
    assert compute(x, x, 8000).domain == "foreign"
    late = compute(x, np.concatenate([np.zeros((1, RATE // 2)), x], axis=1), RATE)
    assert late.domain == "unfamiliar"
    assert 0 < late.domain_p < 0.05
    stereo = compute(np.repeat(x, 2, 0), np.concatenate([x, added_noise(x, RATE, 0.05)]), RATE)
    assert stereo.domain == "ok"


def test_there_is_none_where_nothing_is_calibrated() -> None:
    x = noise(RATE, 0.2)
    for result in (
        compute(x, x, RATE, level=90.0),
        compute(x, x, RATE, form="audibility"),
        compute(x, x, 2000),
        metrics.get("snr").compute(x, 0.9 * x, RATE),
    ):
        assert result.domain is None
        assert isnan(result.domain_p)
    for ask in ("similarity", "quality", "interference"):
        assert compute(x, x, RATE, ask=ask).domain == "ok"


def result(word: str | None) -> Result:
    x = noise(RATE, 0.1)
    return replace(compute(x, x, RATE), domain=word, domain_p=nan if word is None else 0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize(("word", "mark"), [(None, ""), ("ok", ""), ("unfamiliar", "?"), ("foreign", "??")])
def test_rows_and_tables(word: str | None, mark: str) -> None:
    row = pair_row("a", "b", {"auditory": result(word)})
    (written,) = json.loads(to_json(row))["results"]
    assert written["domain"] == word
    assert written["domain_p"] == (None if word is None else 0.01)
    shown = audiosim.Results({"auditory": result(word)})
    assert f" 0{mark} " in str(shown)
    assert ("that it was judged on" in str(shown)) == bool(mark)
    assert f">0{mark}<" in shown._repr_html_()


def test_markdown_and_page_show_the_mark() -> None:
    from audiosim.cli.markdown import of_pairs
    from audiosim.judge.rows import strict
    from audiosim.report.pair import answer

    row = pair_row("a", "b", {"auditory": result("unfamiliar")}, rate=RATE)
    assert "0?" in of_pairs([row])
    (one,) = strict(row)["results"]
    cell = answer({**one, "gates": []})
    assert cell["text"].endswith("?")
    assert "unlike nearly all pairs" in cell["reason"]
