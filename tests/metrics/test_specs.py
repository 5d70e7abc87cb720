"""Specs such as `log-mel:bands=64` as users write them, on a metric made for this test."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest

from audiosim import metrics
from audiosim.errors import ExitCode, UsageError
from audiosim.metrics import parse
from audiosim.result import Result, undefined


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    weighting: Annotated[Literal["none", "hp", "auraloss-aw"], "pre-emphasis"] = "none",
    order: Literal[1, 2] = 1,
    bands: Annotated[int, "mel bands"] = 128,
    floor: Annotated[float, "added to the power"] = 1e-10,
    mid_side: Annotated[bool, "sum and difference instead of left and right"] = False,
    note: str = "",
    detail: str = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    return undefined("a toy", 1)


LISTED = metrics.names()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A metric `toy-metric` in the folder's place."""
    module = ModuleType("audiosim.metrics.toy_metric")
    module.compute = compute  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(metrics, "names", lambda: ["mse", "si-sdr", "toy-metric"])
    metrics.options.cache_clear()
    yield
    metrics.options.cache_clear()


def test_names_are_the_folder_listing() -> None:
    folder = Path(metrics.__file__).parent
    assert sorted(p.stem.replace("_", "-") for p in folder.glob("*.py") if not p.stem.startswith("_")) == LISTED


def test_listing_imports_no_metric() -> None:
    code = (
        "import sys; from audiosim import metrics; metrics.names(); print([m for m in sys.modules if 'metrics.' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_options_are_the_keywords_of_compute() -> None:
    options = metrics.options("toy-metric")
    assert list(options) == ["weighting", "order", "bands", "floor", "mid_side", "note"]
    assert options["weighting"].choices == ("none", "hp", "auraloss-aw")
    assert options["weighting"].help == "pre-emphasis"
    assert options["bands"] == metrics.Option("bands", int, 128, "mel bands")
    assert options["bands"].choices == ()
    assert options["note"].help == ""


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
            "toy-metric has no option 'band', did you mean 'bands'?; it has: weighting",
        ),
        ("toy-metric:zzz=1", "toy-metric has no option 'zzz'; it has: weighting"),
        ("toy-metric:detail=map", "toy-metric has no option 'detail'"),
        ("toy-metric:jobs=2", "toy-metric has no option 'jobs'"),
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
    monkeypatch.setattr(metrics, "names", lambda: LISTED)
    for option in metrics.options(name).values():
        assert parse(f"{name}:{option.name}={option.default}").options == {option.name: option.default}
