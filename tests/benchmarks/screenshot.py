"""The picture of the README: `python -m tests.benchmarks.screenshot` runs two commands and draws docs/compare.svg.

tests/test_screenshot.py holds the text in the file to what the commands print now.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI as THEME
from rich.text import Text

from audiosim.cli import run, table

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "compare.svg"
FILES = ("samples/speech.flac", "samples/speech_degraded.flac")
COMMANDS = (("compare", *FILES), ("explain", "auditory", *FILES))
COLUMNS = 100
CELL, LINE, SIZE = 8.4, 18, 14  # width, height and size of a character, px
MARGIN, TITLE = 12, 34  # px
HALF = "▀"  # the upper half of a cell; explain draws with it
FONTS = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
Run = tuple[int, int, str, Style]  # line, column, text


def printed() -> list[Text]:
    """The lines that the commands print on a terminal with colours."""
    screen = Console(
        file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor",
        legacy_windows=False, highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    before = Path.cwd()
    with mock.patch.object(table, "console", return_value=screen), mock.patch.dict(os.environ, clear=False):
        for name in [n for n in os.environ if n.startswith("AUDIOSIM_") or n == "NO_COLOR"]:
            del os.environ[name]
        os.environ["AUDIOSIM_FORMAT"] = "table"
        os.environ["AUDIOSIM_VERDICT"] = "true"  # as on a terminal
        os.chdir(ROOT)
        try:
            for i, command in enumerate(COMMANDS):
                screen.print(Text("\n" * (i > 0) + f"$ audiosim {' '.join(command)}", style="bold"))
                code = run([*command, "-q"])
                assert code == 0, f"audiosim {' '.join(command)} ended with {code}"
        finally:
            os.chdir(before)
    return [Text.from_ansi(line) for line in screen.export_text(styles=True).rstrip("\n").split("\n")]


def runs(lines: list[Text]) -> Iterator[Run]:
    """Characters of one style that stand beside each other."""
    plain = Console(color_system="truecolor", file=io.StringIO(), width=COLUMNS)
    for row, line in enumerate(lines):
        column = 0
        for segment in line.render(plain):
            if segment.text.strip():
                yield row, column, segment.text, segment.style or Style()
            column += len(segment.text)


def svg(lines: list[Text]) -> str:
    """A window with these lines. Halves of cells are drawn, not written: fonts leave gaps between them."""
    found = list(runs(lines))
    width, height = round(2 * MARGIN + COLUMNS * CELL), TITLE + MARGIN + LINE * len(lines)
    cells = sorted(
        (colour(part), row * 2 + lower, column + i)
        for row, column, text, style in found
        for i, character in enumerate(text)
        if character == HALF
        for lower, part in enumerate((style.color, style.bgcolor))
    )
    parts = []
    for fill, group in groupby(cells, lambda cell: cell[0]):
        path = "".join(f"M{c} {r}h1v1h-1z" for _, r, c in group)
        parts.append(f'<path fill="{fill}" d="{path}"/>')
    picture = "\n".join(parts)
    texts = "\n".join(written(*r) for r in found if HALF not in r[2])
    background, foreground = (f"rgb{tuple(c)}" for c in (THEME.background_color, THEME.foreground_color))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<title>audiosim compare and audiosim explain on the sample recordings</title>
<rect width="{width}" height="{height}" rx="8" fill="{background}"/>
<circle cx="20" cy="17" r="6" fill="#ff5f57"/><circle cx="40" cy="17" r="6" fill="#febc2e"/>
<circle cx="60" cy="17" r="6" fill="#28c840"/>
<g transform="translate({MARGIN} {TITLE}) scale({CELL} {LINE / 2:g})" shape-rendering="crispEdges">
{picture}
</g>
<g transform="translate({MARGIN} {TITLE})" font-family="{FONTS}" font-size="{SIZE}" fill="{foreground}">
{texts}
</g>
</svg>
"""


def written(row: int, column: int, text: str, style: Style) -> str:
    """A run as an element of the SVG, as wide as on a terminal whatever the font."""
    inner = text.strip()
    column += text.index(inner)
    look = (' font-weight="bold"' if style.bold else "") + (' opacity="0.6"' if style.dim else "")
    look += f' fill="{colour(style.color)}"' if style.color and not style.color.is_default else ""
    place = f'x="{column * CELL:.1f}" y="{(row + 0.75) * LINE:g}" textLength="{len(inner) * CELL:.1f}"'
    return f"<text {place}{look}>{escape(inner, quote=False).replace(' ', chr(160))}</text>"


def colour(color: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color.get_truecolor(THEME))


def text_of(drawn: str) -> list[str]:
    """What a person reads in the SVG, line by line."""
    found: dict[float, list[str]] = {}
    for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text"):
        found.setdefault(float(element.attrib["y"]), []).append((element.text or "").replace(chr(160), " "))
    return [" ".join(found[y]) for y in sorted(found)]


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(svg(printed()), encoding="utf-8", newline="\n")
