"""A batch in Markdown, for a pull request or the summary of a workflow's step. File names cannot break out of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite, isnan

from ..audio import display_name
from ..diagnosis.words import listed
from ..judge.gates import Verdict
from ..judge.rows import Row
from ..judge.summary import Agreements, Score, Summary
from ..results import mark
from .findings import Finding, missed, unmet
from .table import best_mean, counts, heading, interval
from .words import about, amount, number

SHOWN = 20  # failures that are told
WORST = 10
_MEANING = re.compile(r"[&<>|\\`*_\[\]{}#@$~^]|:(?=\S)|(?<=www)\.")


def to_markdown(
    summary: Summary,
    found: Sequence[Finding] = (),
    verdicts: Sequence[Verdict] = (),
    agreements: Agreements | None = None,
    notes: Sequence[str] = (),
) -> str:
    """found: what failed, the worst first; verdicts: on gates over the batch; notes: sentences to put under the title,
    such as what the baseline says."""
    failed = f"{len(found)} problem{'s' * (len(found) != 1)}" if found else "nothing failed"
    parts = [f"### audiosim: {summary.pairs} {summary.things}, {failed}\n"]
    parts += [f"{plain(note)}\n" for note in notes]
    if summary.scores:
        parts.append(_scores(summary))
    if verdicts:
        gates = [[code(v.gate.text), _code(v.system), "held" if v.passed else "**failed**", plain(missed(v))]
                 for v in verdicts]  # fmt: skip
        parts.append("#### Gates over the batch\n\n" + _table(("gate", "system", "", "value"), gates))
    if found:
        failures = [[_code(f.about), code(f.title), plain(f.text)] for f in found[:SHOWN]]
        more = f"\nand {len(found) - SHOWN} more\n" if len(found) > SHOWN else ""
        parts.append("#### What failed\n\n" + _table((summary.things[:-1], "what", "how"), failures) + more)
    if agreements is not None and agreements.rows:
        parts.append(_agreement(agreements))
    if any(score.worst for score in summary.scores):
        parts.append(_worst(summary))
    return "\n".join(parts)


def of_pairs(pairs: Sequence[Row]) -> str:
    """Comparisons with one reference, or of sources with their estimates: verdicts and what happened, where they were
    asked for; a row a metric of one pair, a row a test of several; what there is to say of values, and the gates."""
    first = pairs[0]
    references = list(dict.fromkeys(p["reference"] for p in pairs))
    parts = [f"### audiosim: {_names([p['test'] for p in pairs])} against {_names(references)}\n"]
    of = [code(display_name(p["test"])) + ": " if len(pairs) > 1 else "" for p in pairs]
    if opinions := [_opinion(pair, name) for pair, name in zip(pairs, of, strict=True) if pair.get("verdict")]:
        parts.append("\n".join(opinions) + "\n")
    if len(pairs) == 1:
        rows = [
            [code(r["spec"]), _of_row(r), plain(_unit(r)), r["better"], plain(r.get("reading") or "")]
            for r in first["results"]
        ]
        parts.append(_table(("metric", "value", "unit", "better", "reading"), rows))
    else:
        head = [code(" ".join(filter(None, (r["spec"], _unit(r))))) for r in first["results"]]
        head = [f"{h}, {r['better']} is better" for h, r in zip(head, first["results"], strict=True)]
        named = [[code(display_name(p["test"])), *map(_of_row, p["results"])] for p in pairs]
        if len(references) > 1:
            named = [[code(display_name(p["reference"])), *row] for p, row in zip(pairs, named, strict=True)]
            parts.append(_table(("source", "estimate", *head), named, 2))
        else:
            parts.append(_table(("test", *head), named, 1))
    said = [
        f"- {name}{'' if pair['rate'] is None else code(r['spec']) + ': '}{plain(r['reason'])}\n"
        for name, pair in zip(of, pairs, strict=True)
        for r in pair["results"]
        if r["reason"]
    ]
    if said:
        parts.append("".join(dict.fromkeys(said)))
    gates = [
        [code(display_name(p["test"])), code(g["require"]), "held" if g["passed"] else "**failed**",
         plain(unmet(g, units.get(g["spec"], "1")))]
        for p in pairs for units in ({r["spec"]: r["unit"] for r in p["results"]},) for g in p["gates"]
    ]  # fmt: skip
    if gates:
        parts.append("#### Gates\n\n" + _table(("test", "gate", "", "value"), gates))
    return "\n".join(parts)


def _opinion(pair: Row, name: str) -> str:
    """The verdict on a pair; below it what happened to the sound."""
    findings = (pair.get("diagnosis") or {}).get("findings", ())
    causes = listed((f["sentence"], f["minor"]) for f in findings)
    return "\n".join([f"- {name}**{plain(pair['verdict']['sentence'])}**", *(f"  - {plain(c)}" for c in causes)])


def _names(tests: Sequence[str]) -> str:
    return code(display_name(tests[0])) if len(tests) == 1 else f"{len(tests)} recordings"


def _of_row(row: Row) -> str:
    return str(row["status"]) if row["status"] in ("undefined", "error") else number(row["value"]) + mark(row)


def _unit(row: Row) -> str:
    return "" if row["unit"] == "1" else str(row["unit"])


def code(text: str) -> str:
    """Any text as code on one line, whatever it is made of.

    Entities mean nothing to Markdown, so pipes, backticks, links, mentions and tags in a name stay what they are.
    """
    return f"<code>{plain(text)}</code>"


def _code(text: str | None) -> str:
    return code(text) if text else ""


def plain(text: str) -> str:
    """Any text on one line, without meaning to Markdown or HTML."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text)
    return _MEANING.sub(lambda c: f"&#{ord(c[0])};", " ".join(shown.split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int | None = None) -> str:
    """right: from which column on numbers stand."""
    rule = ["---:" if right is not None and i >= right else "---" for i in range(len(head))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def _scores(summary: Summary) -> str:
    """A row a system, or, for one system, a row a metric."""
    by_spec: dict[str, list[Score]] = {}
    for score in summary.scores:
        by_spec.setdefault(score.spec, []).append(score)
    if len(summary.systems) > 1:
        head = ["system", *(f"{code(heading(scores[0]))}, {scores[0].better} is better" for scores in by_spec.values())]
        rows = [
            [
                _code(system),
                *(_cell(summary.score(spec, system), best_mean(scores)) for spec, scores in by_spec.items()),
            ]
            for system in summary.systems
        ]
    else:
        head = ["metric", "mean", "median", "better"]
        rows = [[code(heading(s)), _cell(s), number(s.median), s.better] for (s,) in by_spec.values()]
    return f"{_table(head, rows, 1)}\nMean and its 95 % interval.\n"


def _cell(score: Score | None, best: float | None = None) -> str:
    if score is None:
        return ""
    if isnan(score.mean):
        return "no number"
    mean = number(score.mean)
    told = f"**{mean}**" if score.mean == best else mean
    rest = counts(score)
    return f"{told} {interval(score.interval)}" + (f", {rest}" if rest else "")


def _agreement(agreements: Agreements) -> str:
    rows = [
        (code(r.spec), str(r.pairs), number(r.pearson), f"**{number(r.spearman)}** {interval(r.spearman_interval)}",
         number(r.kendall), number(r.within_item))
        for r in agreements.overall()
    ]  # fmt: skip
    head = ("metric", "pairs", "Pearson", "Spearman", "Kendall", "within item")
    text = "#### Agreement with people\n\n" + _table(head, rows, 1)
    contest = agreements.contest
    if contest is None:
        return text
    return (
        f"{text}\n{code(contest.best)} against {code(contest.second)}: Spearman {number(contest.difference)} higher "
        f"{interval(contest.interval)}, p = {contest.p:.3g} (paired bootstrap, one-sided)\n"
    )


def _worst(summary: Summary) -> str:
    spec = str(summary.ranked_by)
    rows = []
    for score, place in summary.worst(spec, WORST):
        at = f"{place.worst_s:.2f} s" if isfinite(place.worst_s) else ""
        rows.append([code(about(place.id, score.system)), amount(place.value, score.unit), at])
    table = _table((summary.things[:-1], "value", "worst at"), rows, 1)
    return f"<details><summary>Worst by {plain(spec)}</summary>\n\n{table}\n</details>\n"
