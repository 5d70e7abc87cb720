"""Charts of bands and times: upwards is worse, and the worst is seen."""

from __future__ import annotations

import io
from math import inf, isnan, nan

import pytest
from rich.console import Console

from audiosim.cli.courses import (
    Course,
    columns,
    courses,
    frequency_cells,
    frequency_ticks,
    hertz,
    print_courses,
    shades,
    sparkline,
    time_ticks,
)
from tests.cli import screens


def course(values: list[float], better: str = "lower", best: float = 0.0, worst: float = 1.0) -> Course:
    return Course("", "x", values, [float(i) for i in range(len(values) + 1)], better, best, worst)


def test_up_is_worse_whatever_the_direction() -> None:
    assert [course([]).badness(v) for v in (0.0, 0.25, 1.0, inf, -inf)] == [0.0, 0.25, 1.0, 1.0, 0.0]
    higher = course([], "higher", 20.0, 10.0)
    assert [higher.badness(v) for v in (20.0, 12.5, 10.0, inf, -inf)] == [0.0, 0.75, 1.0, 0.0, 1.0]
    assert isnan(higher.badness(nan))
    assert course([], best=1.0, worst=1.0).badness(1.0) == 0.0


def test_no_worst_place_is_lost_between_cells() -> None:
    values = [0.0] * 1000
    values[617] = 1.0
    assert shades(course(values), [i * 10.0 for i in range(101)]).index(1.0) == 61
    wide = shades(course([0.5, nan, 1.0]), [i * 0.1 for i in range(31)])
    assert wide[4] == 0.5
    assert isnan(wide[15])
    assert wide[25] == 1.0


def test_marks() -> None:
    assert sparkline([0.0, 1.0], ascii_only=False) == "▁█"
    assert sparkline([0.0, nan, 1.0], ascii_only=True) == ". #"
    assert sparkline([i / 99 for i in range(100)], ascii_only=True).isascii()
    assert columns([0.0, 0.49, 1.0], 2, ascii_only=False) == ["  █", "▁██"]
    tall = columns([i / 50 for i in range(51)], 4, ascii_only=False)
    assert len(tall) == 4
    filled = [sum(line[i] != " " for line in tall) for i in range(51)]
    assert filled == sorted(filled)
    assert (filled[0], filled[-1]) == (1, 4)
    assert (hertz(250.4), hertz(2140.0), hertz(999.7)) == ("250 Hz", "2.1 kHz", "1 kHz")


@pytest.mark.parametrize("width", [20, 35, 70, 110])
def test_ticks_stand_where_they_say(width: int) -> None:
    line = time_ticks(10.0, width)
    assert line.startswith("|0 s")
    assert len(line) <= width
    for i, mark in enumerate(line):
        if mark == "|":
            assert abs(float(line[i + 1 :].split()[0]) - 10.0 * i / width) <= 10.0 / width
    cells, line = frequency_cells(0.0, 20000.0, width), frequency_ticks(0.0, 20000.0, width)
    assert line.count("|") >= 2
    for i, mark in enumerate(line):
        if mark == "|":
            number, unit = line[i + 1 :].split()[:2]
            assert cells[i] * 0.999 <= float(number) * (1000 if unit.startswith("k") else 1) <= cells[i + 1] * 1.001
    assert time_ticks(0.0, width) == ""
    assert time_ticks(0.013, width).startswith("|0")
    assert time_ticks(7200.0, width).startswith("|0 s")


def test_tests_of_one_metric_share_a_scale() -> None:
    pairs = [screens.profiled(screens.pair(f"{i}.wav", 1.0 + i, ["snr", "lsd"])) for i in range(3)]
    found = courses(pairs, "time")
    assert [(c.name, c.test) for c in found] == [(f"{m} [dB]", f"{i}.wav") for m in ("snr", "lsd") for i in range(3)]
    for same in (found[:3], found[3:]):
        assert len({(c.best, c.worst) for c in same}) == 1
    assert found[0].best > found[0].worst  # snr: higher is better
    assert found[3].best == 0.0  # lsd of identical recordings


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", [24, 50])
@pytest.mark.parametrize("tests", [1, 3, 12])
def test_all_of_it_is_one_screen(width: int, height: int, tests: int) -> None:
    for dropped in ((), ("per_band",), ("per_time",), ("per_band", "per_time")):
        pairs = [screens.profiled(screens.pair(f"decoded_{i}.wav", 1.0 + i)) for i in range(tests)]
        for pair in pairs:
            for name in dropped:
                screens.drop(pair, name)
        out = Console(file=io.StringIO(), width=width, height=height, highlight=False, markup=False, emoji=False)
        print_courses(pairs, out, used=9)
        assert isinstance(out.file, io.StringIO)
        lines = out.file.getvalue().splitlines()
        assert len(lines) < height
        assert all(len(line) <= width for line in lines)
        assert bool(lines) == (len(dropped) < 2)
