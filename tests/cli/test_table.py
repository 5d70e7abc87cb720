"""Tables of a batch for people: that what counts is in them, and that no name is markup."""

from __future__ import annotations

import io
from math import inf

import pytest
from rich.console import Console

from audiosim import metrics
from audiosim.cli import screen as pages, table
from audiosim.cli.catalogue import COLUMNS, QUESTIONS, catalogue, print_families, print_questions
from audiosim.cli.layout import without_common_start
from audiosim.judge import gates
from audiosim.judge.summary import agreement, summarise
from audiosim.presets import PRESETS
from tests.batches import row
from tests.judge.test_summary import rated, two_systems


def printed(show, *arguments):
    show(*arguments, table.console(text := io.StringIO()))
    return text.getvalue()


def test_summary_of_systems():
    text = printed(table.print_summary, summarise(two_systems()))
    head, first, second, by, *contradictions = text.splitlines()
    assert by.startswith("ranked by mr-stft")
    assert not contradictions
    assert " -" in second
    assert head.split() == ["rank", "system", "mr-stft", "si-sdr", "[dB]"]
    assert first.split()[:2] == ["1", "good"]
    assert second.split()[:2] == ["2", "bad"]
    assert first.count("[") == 2
    apart = printed(table.print_differences, summarise(two_systems()))
    assert "minus good" in apart
    assert "0.1 [0.1, 0.1]" in apart
    assert printed(table.print_differences, summarise([row("a")])) == ""


def test_summary_of_one_system_tells_what_has_no_number():
    rows = [
        row("a", "si-sdr", 10.0),
        row("b", "si-sdr", inf),
        row("c", "si-sdr", status="error"),
        row("a", "mse", status="error"),
    ]
    text = printed(table.print_summary, summarise(rows))
    assert text.splitlines()[0].split() == ["metric", "mean", "median", "5", "%", "95", "%", "better"]
    assert "si-sdr: 1 infinite, 1 failed of 3 pairs; 1 infinitely good left out" in text
    assert "no number" in text
    assert printed(table.print_summary, summarise([])).split()[0] == "metric"


def test_worst_places():
    rows = [row("[red]a", value=1.0, worst_s=0.5), row("b\x1b", value=2.0)]
    lines = printed(table.print_worst, summarise(rows)).splitlines()[1:]
    assert lines[0] == "worst by mr-stft"
    assert [line.split() for line in lines[2:]] == [["2", "'test/b\\x1b'"], ["1", "0.50", "s", "test/[red]a"]]


def test_agreement_with_people():
    hidden = row("h", "mse", 0.0, reference="x", test="x", rating=1.0, higher_is_better=False)
    silent = row("s", "mse", status="undefined", rating=1.0, higher_is_better=False)
    text = printed(table.print_agreement, agreement([*rated(quality=False), hidden, silent]))
    lines = text.splitlines()[2:]
    assert lines[0].split()[:4] == ["metric", "pairs", "Pearson", "Spearman"]
    assert lines[1].split()[:2] == ["mr-stft", "48"]
    assert "1 rated pairs of a file with itself are left out" in text
    assert "mse: 1 rated pairs have no finite number" in text
    assert "mr-stft agrees better than mse by" in text
    grouped = [{**r, "group": g} for g in ("one", "two") for r in rated()]
    assert "mean of 2" in printed(table.print_agreement, agreement(grouped))


def test_changes():
    old = [row("a", value=1.0), row("b", value=1.0), row("c", value=1.0), row("gone")]
    new = [row("a", value=2.0), row("b", value=0.5), row("c", value=1.0), row("d")]
    lines = printed(table.print_changes, list(gates.compare_with_baseline(new, old))).splitlines()[1:]
    assert lines[0] == "against the baseline: 1 worse, 1 missing, 1 better, 1 new, 1 as before"
    assert [line.split()[0] for line in lines[2:]] == ["gone", "a", "d", "b"]
    assert "1 is now 2, worse by 1" in lines[3]
    many = [gates.Change(f"{i}", None, "mse", "1", "worse", 1.0, 2.0, 1.0, 0.0, None) for i in range(30)]
    assert printed(table.print_changes, many).splitlines()[-1] == "and 10 more"
    assert printed(table.print_changes, []) == ""


SPECS = ["auditory:form=audibility", "modulation-difference", "spectral-convergence", "stoi:extended=true", "si-sdr"]


def screen(width, show, *arguments):
    page = Console(file=io.StringIO(), width=width, no_color=True, highlight=False, markup=False, emoji=False)
    show(*arguments, page)
    return page.file.getvalue()


def compared(test, specs=SPECS, **more):
    usual = {"per_time": None, "per_band": None, "times": None, "options": {}, "details": {}}
    usual |= {"value": -123.456, "unit": "dB", "better": "lower", "reason": None, "status": "ok"}
    results = [{"spec": s, "metric": s.partition(":")[0], **usual, **more} for s in specs]
    pair = {"reference": "r.wav", "test": test, "rate": 8000, "channels": 1, "duration_s": 1.0}
    return {**pair, "results": results, "gates": []}


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("specs", [SPECS, ["mse", "snr"], [f"mel-stft:n_fft={n}" for n in range(256, 2048, 128)]])
def test_no_name_is_broken_at_any_width(width, specs):
    one = screen(width, pages.print_results, [compared("test.wav", specs)])
    names = [f"out/decoded_{system}.wav" for system in ("opus_64", "opus_96", "mp3")]
    many = screen(width, pages.print_results, [compared(name, specs) for name in names])
    rows = [row(f"{i}.wav", s, 1.0 + i, system) for i in range(3) for s in specs for system in ("opus", "mp3")]
    systems = screen(width, table.print_summary, summarise(rows))
    single = screen(width, table.print_summary, summarise([r for r in rows if r["system"] == "mp3"]))
    for text in (one, many, systems, single):
        assert all(len(line.rstrip()) <= width for line in text.splitlines())
        assert set(specs) <= set(text.split())
        assert "…" not in text
    assert {"opus_64.wav", "opus_96.wav", "mp3.wav"} <= {word.rpartition("decoded_")[2] for word in many.split()}
    assert many.count("-123.46") == 3 * len(specs)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_catalogue_and_options_break_no_word(width):
    rows = catalogue()
    options = [{"option": o.name, "legal": o.legal, "help": o.help} for o in metrics.options("stoi").values()]
    for told, shown in ((rows, COLUMNS), (options, ("option", "legal", "help"))):
        text = screen(width, table.rows_table, told, shown)
        assert {word for r in told for c in shown for word in str(r[c]).split()} <= set(text.split())


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_catalogue_answers_questions(width):
    text = screen(width, print_questions, catalogue())
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert {name for question in QUESTIONS.values() for name in question.answers} <= set(text.replace(",", "").split())
    groups = [group.splitlines()[1:] for group in text.split("\n\n") if group.strip()]
    assert len(groups) == len(QUESTIONS)
    assert all((4 if width >= 80 else 1) <= len(lines) <= 8 for lines in groups)
    every = screen(width, print_families, catalogue())
    assert set(metrics.names()) <= set(every.split())


def test_questions_name_metrics_and_presets_that_there_are():
    for question in QUESTIONS.values():
        assert set(question.answers) <= set(metrics.own_names())
        asked = PRESETS[question.preset] if question.preset else ()
        assert {metrics.parse(spec).name for spec in asked} <= set(question.answers)
    presets = {question.preset for question in QUESTIONS.values() if question.preset}
    assert presets == set(PRESETS) - {"default"}
    assert {row["name"]: row["groups"] for row in catalogue()}["pesq"] == ["speech"]


def test_what_all_names_begin_with_is_told_once():
    for names, start in (
        (["a/b_c.wav", "a/b_d.wav"], "a/b_"),
        (["d/a", "d/ab"], "d/"),
        (["d/a", "d/a"], "d/"),
        (["ab", "ac"], ""),
        (["d/a"], ""),
        (["/x.wav", "y.wav"], ""),
    ):
        assert without_common_start(names) == (start, [name[len(start) :] for name in names])
