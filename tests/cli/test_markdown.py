"""A batch in Markdown, read back by a program that knows CommonMark and GitHub's tables."""

from __future__ import annotations

import html

from markdown_it import MarkdownIt

from audiosim.cli.findings import findings
from audiosim.cli.markdown import SHOWN, code, to_markdown
from audiosim.judge import gates
from audiosim.judge.summary import agreement, summarise
from tests.batches import row
from tests.cli.test_github import failed

NASTY = [
    "a|b.wav",
    "`tick`.wav",
    "``` x ```",
    "<script>alert(1)</script>",
    "</details></code>",
    "[link](http://example.org)",
    "![p](x)",
    "@someone",
    "#1",
    "www.example.org/a",
    "https://example.org/a.wav",
    "line\nbreak\r\t.wav",
    "\\",
    "**bold** _x_",
    "&amp;",
    "~~s~~",
    "ünï☃",
]


def rendered(text):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_a_name_stays_what_it_looks_like():
    for name in NASTY:
        page = rendered(f"| {code(name)} | x |\n|---|---|\n")
        inside = page[page.index("<code>") + 6 : page.index("</code>")]
        assert "<" not in inside
        assert html.unescape(inside) == " ".join(name.split())
        assert page.count("<th>") == 2


def test_the_page():
    rows = [row(f"{i}", spec, float(i), s) for i in range(5) for s in ("a|b", "two") for spec in ("mr-stft", "si-sdr")]
    rows += [failed(name, 2.0, system="two") for name in NASTY]
    rows += [row("broken", status="error", system="two", rate=None)]
    verdicts = gates.judge_batch([gates.parse("worst(mr-stft)<=1", batch=True)], rows)
    text = to_markdown(summarise(rows), findings(rows, verdicts), verdicts, notes=["2 <b>better</b>"])
    page = rendered(text)
    assert page.count("<table>") == 4
    assert "20 problems" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<a " not in page
    assert "<img" not in page
    assert "<code>a|b</code>" in html.unescape(page)
    assert page.count("<details>") == page.count("</details>") == 1
    assert "<strong>failed</strong>" in page


def test_many_failures_are_counted():
    rows = [failed(f"{i}", 2.0) for i in range(SHOWN + 3)]
    text = to_markdown(summarise(rows), findings(rows))
    assert "and 3 more" in text
    assert "nothing failed" in to_markdown(summarise([row("a")]))
    assert to_markdown(summarise([]))


def test_agreement_with_people():
    rows = [
        row(f"{i}", spec, float(i + (i % 3 if spec == "mse" else 0)), rating=-float(i))
        for i in range(12)
        for spec in ("mr-stft", "mse")
    ]
    page = rendered(to_markdown(summarise(rows), agreements=agreement(rows)))
    assert "Agreement with people" in page
    assert "paired bootstrap" in page
