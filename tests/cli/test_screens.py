"""The screens are as they were when somebody looked at them; python -m tests.cli.screens draws them anew."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from audiosim.cli import screen
from audiosim.judge import reading
from audiosim.judge.verdict import SAID
from tests.cli import screens


@pytest.fixture(autouse=True)
def no_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The readings of the screens are made up, and half way to the worst."""
    monkeypatch.setattr(reading, "reading", lambda row: reading.Reading(row["reading"], 0.5))


@pytest.mark.parametrize("width", screens.WIDTHS)
@pytest.mark.parametrize("name", screens.SCREENS)
def test_the_screen_is_as_it_was(name: str, width: int) -> None:
    text = screens.drawn(name, width)
    assert text == screens.file_of(name, width).read_text(encoding="utf-8")
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_there_is_no_other_file() -> None:
    known = {screens.file_of(name, width) for name in screens.SCREENS for width in screens.WIDTHS}
    assert set(screens.FOLDER.iterdir()) == known


@pytest.mark.parametrize("width", screens.WIDTHS)
@pytest.mark.parametrize("name", screens.SCREENS)
def test_without_colours_and_with_them_the_words_are_the_same(name: str, width: int) -> None:
    if name == "explain_metric_pair":
        pytest.skip("its colours are the picture")
    out = screens.page(width, colours=True)
    screens.SCREENS[name](out)
    assert isinstance(out.file, io.StringIO)
    plain = "".join(f"{Text.from_ansi(line).plain.rstrip()}\n" for line in out.file.getvalue().splitlines())
    assert plain == screens.drawn(name, width)


def test_gates_and_verdicts_have_colours() -> None:
    out = screens.page(80, colours=True)
    screens.one(out)
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "\x1b[32mPASS" in text
    assert "\x1b[1;31mFAIL" in text
    assert f"\x1b[1;33m{SAID['audible']}" in text


def test_readings_go_from_green_to_red() -> None:
    colours = [screen._severity(i / 4).color for i in range(5)]
    red, green, _ = zip(*(tuple(c.triplet) for c in colours if c and c.triplet), strict=True)
    assert list(red) == sorted(red)
    assert list(green) == sorted(green, reverse=True)
    assert len(set(colours)) == 5


def test_a_terminal_that_knows_ascii_only_gets_nothing_else() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    out = Console(file=stream, width=80, height=24, highlight=False, markup=False, emoji=False, legacy_windows=False)
    for draw in (screens.one, screens.bands, screens.bands_and_times, screens.picture):
        draw(out)
    stream.flush()
