"""Metrics from outside: a file, an installed package; and what may be wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiosim import Signal, compare, metrics, outside
from audiosim.errors import UsageError
from audiosim.testing import check_metric
from audiosim.testing.signals import COMPILED, added_noise, pink

pytestmark = pytest.mark.usefixtures("nothing_from_outside")

SAMPLES = Path(__file__).parents[1] / "samples"
RATE = 16000
GOOD = """
    'The largest error. A toy.'
    from dataclasses import dataclass
    from typing import Annotated
    import numpy as np
    from audiosim import Card
    from audiosim.answer import waveform
    from audiosim.options import ABOVE_ZERO, Options

    CARD = Card(title="Largest error", family="conventional", unit="1", better="lower", identical=0.0,
                formula="max |test - ref|", source="a toy", silence="0 when both are", caveat="a toy",
                symmetric=True, profile="share", map="share")

    @dataclass(frozen=True, kw_only=True)
    class Options(Options):
        times: Annotated[float, ABOVE_ZERO, "what it is multiplied by"] = 1.0

    def measure(pair, o):
        ref, test = pair.samples
        return waveform(pair, o.times * float(np.abs(test - ref).max()))
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """A file with the toy in it, after replacements."""

    def write(*replacements: str, name: str = "largest_error.py") -> Path:
        lines = GOOD.strip("\n").splitlines()
        text = "\n".join(line[4:] for line in lines)
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text + "\n")
        return path

    return write


def signals() -> tuple[Signal, Signal]:
    ref = pink(RATE, 0.2, 1, 2)
    return Signal.of(ref, RATE), Signal.of(added_noise(ref, RATE, 0.1), RATE)


def test_a_file_is_a_metric_like_ours(file: Callable[..., Path]) -> None:
    ref, test = signals()
    assert metrics.add_file(file()) == "largest-error"
    assert "largest-error" in metrics.names()
    assert "largest-error" not in metrics.own_names()
    done = compare(ref, test, ["largest-error:times=2", "mse"], detail="map")
    plain = 2 * np.abs(test.samples - ref.samples).max(1)
    result = done["largest-error:times=2"]
    assert result.status == "ok"
    np.testing.assert_array_equal(result.per_channel, plain)
    assert result.map is not None
    with pytest.raises(UsageError, match="times must be above 0, not -1"):
        metrics.parse("largest-error:times=-1")


def test_packages_declare_metrics(file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(name="its_module.py")
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[audiosim.metrics]\ntoy = its_module\nmse = its_module\nlost = its_module_that_is_not_there\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_module", raising=False)
    ref, test = signals()
    done = compare(ref, test, ["toy", "mse", "lost"])
    assert done["toy"].status == "ok"
    assert done["mse"].value == pytest.approx(np.mean((test.samples - ref.samples) ** 2)), "ours comes first"
    assert done["lost"].status == "error"
    assert "cannot be used: ModuleNotFoundError" in (done["lost"].reason or "")
    assert {"toy", "lost"} < set(metrics.names())


def test_installed_packages_are_not_read_for_our_own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_declared", lambda: pytest.fail("read"))
    metrics.parse("mse")
    metrics.parse("log-mel:bands=40")


WRONG = {
    "no card": (("CARD = ", "BOARD = "), "it has no CARD"),
    "no measure": (("def measure", "def gauge"), "it has no function measure(pair, options)"),
    "no options": (("class Options(Options)", "class Choices(Options)"), "has no attribute 'times'"),
    "no twin": (('map="share")', 'map="share", gradient="exact")'), "it has no function twin(rate, options)"),
    "a syntax error": (("import numpy as np", "import numpy as"), "cannot be used: SyntaxError"),
    "a missing package": (("import numpy as np", "import nump as np"), "cannot be used: ModuleNotFoundError"),
    "a lie about identity": (("identical=0.0", "identical=1.0"), "its card says that identical files score 1, they"),
    "a lie about its range": (("unit=", "range=(0.0, 1e-6), unit="), "a file with noise score"),
    "a lie about direction": (('better="lower"', 'better="higher"'), "but its card says that higher is better"),
    "raises": (("return waveform", "1 / 0; return waveform"), "ZeroDivisionError: division by zero"),
    "prints": (("return waveform", "print('here'); return waveform"), "it prints to standard output"),
    "prints when it is loaded": (("import numpy as np", "import numpy as np; print(1)"), "prints to standard output"),
    "NaN as a value": (("o.times * ", "np.nan * "), "returns NaN without a reason"),
    "a bare number": (
        ("return waveform(pair, ", "return (lambda x: x)("),
        "measure returns an audiosim.answer.Channel",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_line_and_the_others_have_their_values(kind: str, file: Callable[..., Path]) -> None:
    change, said = WRONG[kind]
    metrics.add_file(file(*change))
    ref, test = signals()
    done = compare(ref, test, ["largest-error", "mse"])
    assert done["mse"].status == "ok"
    result = done["largest-error"]
    assert result.status == "error"
    assert said in (result.reason or "")
    assert "\n" not in (result.reason or "")


def test_a_name_of_ours_is_an_error_of_that_metric_alone(file: Callable[..., Path]) -> None:
    metrics.add_file(file(name="mse.py"))
    ref, test = signals()
    done = compare(ref, test, ["mse", "mae"])
    assert done["mae"].status == "ok"
    assert done["mse"].status == "error"
    assert "is called like a metric of audiosim's own; rename the file" in (done["mse"].reason or "")


def test_files_that_are_none(tmp_path: Path, file: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        metrics.add_file(tmp_path / "nowhere.py")
    (tmp_path / "my metric.py").write_text("")
    with pytest.raises(UsageError, match=r"call the file as the metric, such as my_metric\.py"):
        metrics.add_file(tmp_path / "my metric.py")
    metrics.add_file(file())
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "largest_error.py"
    twin.write_text("")
    with pytest.raises(UsageError, match="has this name already"):
        metrics.add_file(twin)


def test_the_version_of_a_metric_from_outside_is_that_of_its_source(file: Callable[..., Path]) -> None:
    def version() -> int | str:
        outside._found.cache_clear()
        return metrics.get("largest-error").version

    metrics.add_file(file())
    before = version()
    assert version() == before
    file("o.times * ", "2 * o.times * ")
    assert version() != before
    assert metrics.get("mse").version == metrics.get("mse").card.version


def test_check_metric_runs_the_contract(file: Callable[..., Path]) -> None:
    check_metric(file(), only="identical")
    lie = file("symmetric=True", "symmetric=True, triangle=False, insensitive_to=('gain',)")
    with pytest.raises(AssertionError, match="insensitive_to_what_the_card_says"):
        check_metric(lie, only="insensitive")
    with pytest.raises(AssertionError, match="it has no CARD"):
        check_metric(file("CARD = ", "BOARD = "))
    if COMPILED:
        check_metric(file())
        check_metric(metrics.get("mae").module, only="symmetry")
