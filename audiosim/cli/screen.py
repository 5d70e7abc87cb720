"""What a person sees of comparisons: table, gates, verdict, and what happened to the sound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from ..audio import display_name
from ..diagnosis.words import left, listed, null_test
from ..results import header, reasons, shown, shown_unit
from . import next as following
from .courses import hertz, print_courses
from .findings import unmet
from .layout import fits, natural_fits, plain_table, print_point, put, without_common_start
from .words import amount

if TYPE_CHECKING:
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    from ..judge.reading import Scale

Row = Mapping[str, Any]

LEVELS = {  # of a verdict, and their colours
    "identical": "green",
    "equivalent": "green",
    "inaudible": "green",
    "audible": "yellow",
    "different": "red",
    "unrelated": "bold red",
}
GREEN, AMBER, RED = (46, 160, 67), (191, 135, 0), (218, 54, 51)  # red, green and blue
PLACES = 3  # that are named of one cause
INSTANT = 0.01  # seconds: what is shorter happens at one time


def print_results(pairs: Sequence[Row], out: Console) -> None:
    """One pair: a row a metric. Several: a ranking, a row a test, the best number of each column in bold; or a row a
    source of a mixture with its estimate.

    Then gates, why a value is none or says nothing, what happened to the sound, and where and when the two differ.
    """
    from rich.text import Text

    one = len(pairs) == 1
    if one:
        for line in header(pairs[0]):
            out.print(Text(line))
        print_verdict(pairs[0], out)
        put(_metrics_that_fit(pairs[0], out), out)
        _print_gates(pairs[0], out)
    else:
        if not _separated(pairs):
            out.print(Text(f"reference  {display_name(pairs[0]['reference'])}"))
        _print_ranking(pairs, out)
    for pair in pairs:
        of = "" if one else f"{display_name(pair['test'])}: "
        for reason, status in reasons(pair).items():
            said = reason if reason.startswith(of) else of + reason
            out.print(Text(said, style="dim" if status == "ok" else "yellow"))
        for sentence in pair.get("contradictions") or ():
            out.print(Text(of + sentence, style="yellow"))
    _print_causes(pairs, out)
    print_courses(pairs, out, _lines(pairs))


def _separated(pairs: Sequence[Row]) -> bool:
    """Whether these are sources with their estimates, and not tests with one reference."""
    return len({pair["reference"] for pair in pairs}) > 1


def print_verdict(pair: Row, out: Console) -> None:
    """In one sentence, between empty lines, with what the measures said; nothing where there is none."""
    from rich.text import Text

    verdict = pair.get("verdict")
    if verdict and verdict["sentence"]:
        out.print()
        out.print(Text(verdict["sentence"], style=f"bold {LEVELS.get(verdict['level'], '')}".strip()))
        if measured := _measured(pair):
            out.print(Text("; ".join(measured), style="dim"))
        out.print()


def _measured(pair: Row) -> list[str]:
    """The reasons of the verdict that neither its sentence nor the diagnosis says."""
    verdict, diagnosis = pair["verdict"], pair.get("diagnosis") or {}
    told = {finding["sentence"] for finding in diagnosis.get("findings", ())}
    return [reason for reason in verdict["reasons"] if reason not in told and reason not in verdict["sentence"]]


def print_diagnosis(diagnosis: Row, out: Console) -> None:
    """All that happened to the sound, in words and in figures; what is left; the null test."""
    from rich.text import Text

    findings = diagnosis["findings"]
    for sentence in _said(findings):
        print_point(sentence, out)
    if findings:
        table = plain_table()
        for name in ("cause", "size", "where", "share", "sure"):
            table.add_column(name, justify="left" if name in ("cause", "where") else "right", no_wrap=name == "size")
        for f in findings:
            size = "" if f["size"] is None else _size(f["size"], f["unit"] or "1")
            share, sure = (_percent(f[name]) for name in ("share", "confidence"))
            table.add_row(Text(f["cause"]), Text(size), Text(_where(f)), share, sure)
        out.print()
        put(table, out)
        out.print()
        if diagnosis["left_db"] is not None:
            out.print(Text(left(diagnosis["left_db"])))
    elif diagnosis["null"] is None or diagnosis["null"]["differing"]:
        out.print(Text("no cause of the difference was found"))
    out.print(Text(f"null test: {null_test(diagnosis['null'])}"))


def print_scale(scale: Scale, value: float, out: Console) -> None:
    """The anchors of a metric from good to bad, with a mark on the one that holds for the value."""
    from rich.text import Text

    here = scale.place(value)
    last = len(scale.anchors) - 1
    ends = ["beyond" if i == last else f"to {anchor.to:g}" for i, anchor in enumerate(scale.anchors)]
    margin = max(map(len, ends)) + 4
    for i, (anchor, end) in enumerate(zip(scale.anchors, ends, strict=True)):
        line = Text(f"{'>' if i == here else ' '} {end:<{margin - 2}}", style="bold" if i == here else "dim")
        words = Text(anchor.words, style=_severity(anchor.severity) if i == here else "dim")
        for k, part in enumerate(words.wrap(out, max(out.width - margin, 10))):
            out.print((Text(" " * margin) if k else line) + part)


def _metrics_that_fit(pair: Row, out: Console) -> Table:
    """A row a metric, with readings where there are some and the screen is wide enough."""
    table = _metrics(pair, out, readings=True)
    return table if fits(table, out.width) else _metrics(pair, out, readings=False)


def _metrics(pair: Row, out: Console, readings: bool) -> Table:
    from rich.text import Text

    table = plain_table()
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("better")
    results = pair["results"]
    readings = readings and any(result.get("reading") for result in results)
    if readings:
        table.add_column("reading")
    for result in results:
        more = [_reading(result, out)] if readings else []
        table.add_row(Text(result["spec"]), _value(result), Text(shown_unit(result)), Text(result["better"]), *more)
    return table


def _print_gates(pair: Row, out: Console) -> None:
    """A row a gate: whether it held, and how it came about."""
    from rich.text import Text

    if not pair["gates"]:
        return
    table = plain_table()
    for name in ("gate", "", "value"):
        table.add_column(name)
    for gate in pair["gates"]:
        table.add_row(Text(gate["require"]), _mark(gate), Text(_told(gate, pair)))
    out.print()
    put(table, out)


def _print_ranking(pairs: Sequence[Row], out: Console) -> None:
    """A row a test; where that is too wide, without what all names begin with, then without readings."""
    from rich.text import Text

    names = [display_name(pair["test"]) for pair in pairs]
    table = _ranking(pairs, names, out, readings=True)
    if not natural_fits(table, out.width):
        start, names = without_common_start(names)
        if start:
            out.print(Text(f"tests      {start}..."))
        table = _ranking(pairs, names, out, readings=True)
    put(table if fits(table, out.width) else _ranking(pairs, names, out, readings=False), out, keep=2)


def _ranking(pairs: Sequence[Row], names: Sequence[str], out: Console, readings: bool) -> Table:
    from rich.text import Text

    separated = _separated(pairs)
    table = plain_table()
    table.add_column("source" if separated else "rank", justify="left" if separated else "right")
    table.add_column("estimate" if separated else "test")
    columns = pairs[0]["results"]
    gates = pairs[0]["gates"]
    verdicts = any(pair.get("verdict") for pair in pairs)
    readings = readings and any(pair["results"][0].get("reading") for pair in pairs)
    if verdicts:
        table.add_column("verdict", no_wrap=True)
    for i, result in enumerate(columns):
        unit = shown_unit(result)
        table.add_column(Text(result["spec"] + (f" [{unit}]" if unit else "")), justify="right")
        if i == 0 and readings:
            table.add_column("reading")
    for gate in gates:
        table.add_column(Text(re.sub(r"\s*(?=[<>])", " ", gate["require"], count=1)))  # two lines where it is narrow
    best = []
    for i, column in enumerate(columns):
        values = [p["results"][i]["value"] for p in pairs if not isnan(p["results"][i]["value"])]
        best.append((max if column["better"] == "higher" else min)(values, default=None))
    for rank, (pair, name) in enumerate(zip(pairs, names, strict=True), 1):
        cells: list[Any] = [_level(pair.get("verdict"))] if verdicts else []
        for i, result in enumerate(pair["results"]):
            cells.append(_value(result, result["value"] == best[i] and not separated))
            if i == 0 and readings:
                cells.append(_reading(result, out))
        first = Text(display_name(pair["reference"])) if separated else str(rank)
        table.add_row(first, Text(name), *cells, *(_mark(gate, pair) for gate in pair["gates"]))
    return table


def _print_causes(pairs: Sequence[Row], out: Console) -> None:
    """What happened to the sound: of one pair the first causes, of several the first of each."""
    from rich.text import Text

    told = [pair for pair in pairs if (pair.get("diagnosis") or {}).get("findings")]
    if not told:
        return
    out.print(Text("\nwhat happened", style="bold"))
    names = without_common_start([display_name(pair["test"]) for pair in told])[1]
    for pair, name in zip(told, names, strict=True):
        sentences = _said(pair["diagnosis"]["findings"])
        if len(pairs) > 1:
            more = f"; and {len(sentences) - 1} more" if len(sentences) > 1 else ""
            print_point(f"{name}: {sentences[0]}{more}", out)
            continue
        for sentence in sentences[: following.SHOWN]:
            print_point(sentence, out)
        if len(sentences) > following.SHOWN:
            command = following.diagnosing(pair["reference"], pair["test"])
            out.print(Text(f"... and {len(sentences) - following.SHOWN} more: {command}"))


def _said(found: Sequence[Row]) -> list[str]:
    return listed((f["sentence"], f.get("minor", False)) for f in found)


def _lines(pairs: Sequence[Row]) -> int:
    """How many lines stand above the courses, about."""
    one = len(pairs) == 1
    causes = [len((pair.get("diagnosis") or {}).get("findings", ())) for pair in pairs]
    said = sum(len(reasons(pair)) + min(count, following.SHOWN) for pair, count in zip(pairs, causes, strict=True))
    rows = len(pairs[0]["results"]) + len(pairs[0]["gates"]) + 4 if one else len(pairs) + 2
    return said + rows + 4 * bool(pairs[0].get("verdict"))


def _value(result: Row, best: bool = False) -> Text:
    from rich.text import Text

    style = {"undefined": "yellow", "error": "red"}.get(result["status"], "bold green" if best else "bold")
    return Text(shown(result), style=style)


def _reading(result: Row, out: Console) -> Text:
    """What the value means, from green to red where there are colours."""
    from rich.text import Text

    words = Text(result.get("reading") or "")
    if words and out.color_system is not None and not out.no_color:
        from ..judge.reading import reading

        found = reading(result)
        words.style = "" if found is None else _severity(found.severity)
    return words


def _severity(severity: float) -> Style:
    """A colour that can be read on black and on white: green at 0, amber at 0.5, red at 1."""
    from rich.color import Color
    from rich.style import Style

    first, second = (GREEN, AMBER) if severity < 0.5 else (AMBER, RED)
    mix = 2 * severity % 1 if severity < 1 else 1.0
    return Style(color=Color.from_rgb(*(round(a + (b - a) * mix) for a, b in zip(first, second, strict=True))))


def _level(verdict: Row | None) -> Text:
    from rich.text import Text

    level = (verdict or {}).get("level") or ""
    return Text(level, style=LEVELS.get(level, ""))


def _mark(gate: Row, pair: Row | None = None) -> Text:
    """PASS or FAIL; of a row of the ranking, with its value where that stands in no other column."""
    from rich.text import Text

    passed = gate["passed"]
    mark = Text("PASS" if passed else "FAIL", style="green" if passed else "bold red")
    if pair is None or gate["spec"] == "verdict" or gate["value"] is None or isnan(gate["value"]):
        return mark
    if not any(r["spec"] == gate["spec"] and r["value"] == gate["value"] for r in pair["results"]):
        mark.append(f" {_gated(gate, pair)}", style="not bold default")
    return mark


def _told(gate: Row, pair: Row) -> str:
    """How the gate came about."""
    value = nan if gate["value"] is None else gate["value"]
    if gate["spec"] == "verdict" or (gate["passed"] and not isnan(value)):
        return _gated(gate, pair)
    return unmet(gate, _unit(gate, pair))


def _gated(gate: Row, pair: Row) -> str:
    """The value that the gate looked at; of a verdict its level, which is the reason."""
    return str(gate["reason"]) if gate["spec"] == "verdict" else amount(gate["value"], _unit(gate, pair))


def _unit(gate: Row, pair: Row) -> str:
    from .. import metrics

    known = {result["spec"]: result["unit"] for result in pair["results"]}
    return str(known[gate["spec"]] if gate["spec"] in known else metrics.scale(gate["spec"]).unit)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _size(size: float, unit: str) -> str:
    """Of seconds the milliseconds, as the sentence says them."""
    return f"{size:z.3f} s" if unit == "s" else amount(size, unit)


def _where(finding: Row) -> str:
    """The places in a few words, in seconds of the reference."""
    places = finding["places"]
    if not places:
        return "throughout"
    told = [_place(place) for place in places[:PLACES]]
    more = max(finding["count"], len(places)) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _place(place: Row) -> str:
    start, end = place["start"], place["end"]
    time = f"{start:.3f} s" if end - start < INSTANT else f"{start:.2f}-{end:.2f} s"
    band = f" at {hertz(place['low'] or 0.0)} to {hertz(place['high'])}" if place["high"] is not None else ""
    return time + band + (f" in channel {place['channel']}" if place["channel"] is not None else "")
