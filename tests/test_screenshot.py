"""docs/compare.svg, the picture of the README, is what the commands print."""

from __future__ import annotations

import pytest

from audiosim.testing.signals import COMPILED
from tests.benchmarks import screenshot

pytestmark = pytest.mark.skipif(not COMPILED, reason="the samples are too long for uncompiled kernels")


def test_the_picture_shows_what_the_commands_print() -> None:
    drawn = screenshot.FILE.read_text(encoding="utf-8")
    assert screenshot.text_of(drawn) == screenshot.text_of(screenshot.svg(screenshot.printed()))
    assert "$ audiosim compare samples/speech.flac samples/speech_degraded.flac" in screenshot.text_of(drawn)


def test_the_picture_needs_nothing_else() -> None:
    drawn = screenshot.FILE.read_text(encoding="utf-8")
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert screenshot.HALF not in drawn
