"""Specs such as `log-mel:bands=64` as users write them, on a metric made for this test."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest

from audiosim import metrics
from audiosim.errors import ExitCode, UsageError
from audiosim.metrics import parse
from audiosim.options import ABOVE_ZERO, Option, Options, Within


@dataclass(frozen=True, kw_only=True)
class Shared(Options):
    weighting: Annotated[Literal["none", "hp", "auraloss-aw"], "pre-emphasis"] = "none"


@dataclass(frozen=True, kw_only=True)
class ToyOptions(Shared):
    order: Annotated[Literal[1, 2], "how often"] = 1
    bands: Annotated[int, Within(-5, 128), "mel bands"] = 128
    floor: Annotated[float, ABOVE_ZERO, "added to the power"] = 1e-10
    mid_side: Annotated[bool, "sum and difference instead of left and right"] = False
    level: Annotated[float | None, Within(20, 140), "dB SPL of a full-scale sine; none: as recorded"] = None
    note: str = ""

    def check(self) -> None:
        if self.bands == 7 and self.order == 2:
            raise UsageError("seven bands go with order=1 only")


LISTED = metrics.own_names()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric `toy-metric` in the folder's place."""
    module = ModuleType("audiosim.metrics.toy_metric")
    module.Options = ToyOptions  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(metrics, "own_names", lambda: ["mse", "si-sdr", "toy-metric"])


def test_limits_are_written_as_people_do() -> None:
    assert str(Within(2, 1 << 20)) == "2 to 1048576"
    assert str(Within(1e-10, 0.5)) == "1e-10 to 0.5"


def test_names_are_the_folder_listing() -> None:
    folder = Path(metrics.__file__).parent
    assert sorted(p.stem.replace("_", "-") for p in folder.glob("*.py") if not p.stem.startswith("_")) == list(LISTED)


def test_listing_imports_no_metric() -> None:
    code = (
        "import sys; from audiosim import metrics; metrics.names(); print([m for m in sys.modules if 'metrics.' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_options_are_the_fields_of_the_class_its_own_first() -> None:
    options = metrics.options("toy-metric")
    assert list(options) == ["order", "bands", "floor", "mid_side", "level", "note", "weighting"]
    assert options["weighting"].choices == ("none", "hp", "auraloss-aw")
    assert options["weighting"].help == "pre-emphasis"
    assert options["bands"] == Option("bands", int, 128, "mel bands", Within(-5, 128))
    assert options["bands"].choices == ()
    assert options["note"].help == ""
    assert {name: option.legal for name, option in options.items()} == {
        "weighting": "none, hp or auraloss-aw",
        "order": "1 or 2",
        "bands": "a whole number, -5 to 128",
        "floor": "a number, above 0",
        "mid_side": "true or false",
        "level": "none, or a number, 20 to 140",
        "note": "text",
    }


def test_python_is_held_to_the_same() -> None:
    chosen = metrics.get("toy-metric").chosen
    assert chosen({"bands": 3, "level": None}) == ToyOptions(bands=3)
    for given, said in [
        ({"bands": 129}, "toy-metric: bands must be -5 to 128, not 129"),
        ({"bands": 1.5}, "toy-metric: bands must be a whole number, not 1.5"),
        ({"bands": "many"}, "toy-metric: bands is a whole number, -5 to 128, not 'many'"),
        ({"floor": float("nan")}, "toy-metric: floor must be finite, not nan"),
        ({"order": 3}, "toy-metric: order is 1 or 2, not 3"),
        ({"order": True}, "toy-metric: order is 1 or 2, not True"),
        ({"mid_side": "yes"}, "toy-metric: mid_side is true or false, not 'yes'"),
        ({"bands": 7, "order": 2}, "toy-metric: seven bands go with order=1 only"),
        ({"band": 7}, "toy-metric has no option 'band'; it has: order, bands"),
    ]:
        with pytest.raises(UsageError, match=re.escape(said)):
            chosen(given)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("si-sdr", "si-sdr", {}),
        ("toy-metric", "toy-metric", {}),
        ("TOY_metric", "toy-metric", {}),
        (" toy-metric : bands = 64 , floor=1e-6 ", "toy-metric", {"bands": 64, "floor": 1e-6}),
        ("toy-metric:weighting=hp,mid-side", "toy-metric", {"weighting": "hp", "mid_side": True}),
        ("toy-metric:mid_side=off", "toy-metric", {"mid_side": False}),
        ("toy-metric:mid-side=1", "toy-metric", {"mid_side": True}),
        ("toy-metric:order=2", "toy-metric", {"order": 2}),
        ("toy-metric:bands=-1", "toy-metric", {"bands": -1}),
        ("toy-metric:level=none", "toy-metric", {"level": None}),
        ("toy-metric:note=a=b", "toy-metric", {"note": "a=b"}),
        ("toy-metric:", "toy-metric", {}),
        ("toy-metric:,bands=8,", "toy-metric", {"bands": 8}),
    ],
)
def test_spec_is_read(text: str, name: str, options: dict[str, Any]) -> None:
    spec = parse(text)
    assert (spec.text, spec.name, dict(spec.options)) == (text, name, options)
    assert [type(v) for v in spec.options.values()] == [type(v) for v in options.values()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("si-sdrr", "unknown metric 'si-sdrr', did you mean 'si-sdr'?"),
        ("toymetric:bands=1", "unknown metric 'toymetric', did you mean 'toy-metric'?"),
        ("", "unknown metric ''; `audiosim explain` lists them all"),
        ("qqqq", "unknown metric 'qqqq'; `audiosim explain` lists them all"),
        ("../card", "unknown metric"),
        (
            "toy-metric:band=64",
            "toy-metric has no option 'band', did you mean 'bands'?; it has: order",
        ),
        ("toy-metric:zzz=1", "toy-metric has no option 'zzz'; it has: order"),
        ("toy-metric:detail=map", "toy-metric has no option 'detail'"),
        ("toy-metric:threads=2", "toy-metric has no option 'threads'"),
        ("toy-metric:bands=8,bands=9", "option 'bands' of toy-metric is given twice"),
        (
            "toy-metric:weighting=hpp",
            "weighting=hpp is not possible, did you mean 'hp'?; one of: none, hp,",
        ),
        ("toy-metric:weighting", "weighting=true is not possible"),
        ("toy-metric:order=3", "order=3 is not possible; one of: 1, 2"),
        ("toy-metric:bands=1.5", "bands must be a whole number, not '1.5'"),
        ("toy-metric:bands", "bands must be a whole number, not 'true'"),
        ("toy-metric:floor=x", "floor must be a number, not 'x'"),
        ("toy-metric:floor=nan", "floor must be finite"),
        ("toy-metric:floor=-inf", "floor must be finite"),
        ("toy-metric:floor=0", "toy-metric: floor must be above 0, not 0"),
        ("toy-metric:bands=-6", "toy-metric: bands must be -5 to 128, not -6"),
        ("toy-metric:level=10", "toy-metric: level must be 20 to 140, not 10"),
        ("toy-metric:bands=7,order=2", "toy-metric: seven bands go with order=1 only"),
        ("toy-metric:mid-side=perhaps", "mid_side is true or false, not 'perhaps'"),
    ],
)
def test_wrong_spec_says_what_to_do(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse(text)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LISTED)
def test_real_metrics_read_their_own_defaults(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "own_names", lambda: LISTED)
    for option in metrics.options(name).values():
        assert parse(f"{name}:{option.name}={option.default}").options == {option.name: option.default}
