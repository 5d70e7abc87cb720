"""Tables of a batch for people: that what counts is in them, and that no name is markup."""

from __future__ import annotations

import io
from math import inf

from audiosim.cli import table
from audiosim.judge import gates
from audiosim.judge.summary import agreement, summarise
from tests.batches import row
from tests.judge.test_summary import rated, two_systems


def printed(show, *arguments):
    show(*arguments, table.console(text := io.StringIO()))
    return text.getvalue()


def test_summary_of_systems():
    text = printed(table.print_summary, summarise(two_systems()))
    head, first, second = text.splitlines()
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
