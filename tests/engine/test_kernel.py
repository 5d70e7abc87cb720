"""Where compiled kernels are kept, and what compiling may change about a sum."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim.engine import kernel
from audiosim.testing.signals import COMPILED

ROOT = hasattr(os, "getuid") and os.getuid() == 0
STRANGER = 54321
ADD = "import numpy as n; from audiosim.engine.moments import error; x = n.ones(9); error(x, x, x[:1]);"

compiled_only = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Caches and temporary files below tmp_path; sources too, so that they may change."""
    for file, source in {
        "engine/sums.py": "one = 1\n",
        "engine/blocks.py": "from .sums import one\n",
        "models/family/ear.py": "from ...engine import (\n    blocks,\n)\nif True:\n    from . import late\n",
        "models/family/late.py": "",
    }.items():
        (tmp_path / "package" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / file).write_text(source)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(kernel, "_PACKAGE", tmp_path / "package")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kernel, "_cache_folder", cache(kernel._cache_folder.__wrapped__))
    yield
    kernel._stamp.cache_clear()


def asked(file: str = "engine/sums.py") -> str:
    """As the next process would be told."""
    kernel._cache_folder.cache_clear()
    kernel._stamp.cache_clear()
    return kernel._cache_folder(str(kernel._PACKAGE / file))


def folder(file: str = "engine/sums.py") -> Path:
    found = asked(file)
    assert found
    return Path(found)


def test_below_the_users_cache_and_only_his(tmp_path: Path) -> None:
    found = folder()
    assert found.parent == tmp_path / "home" / "audiosim"
    assert found.is_dir()
    assert folder() == found
    if os.name == "posix":
        assert found.stat().st_mode & 0o777 == 0o700


def test_home_without_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda p: p.replace("~", str(tmp_path / "somebody")))
    assert folder().parent == tmp_path / "somebody" / ".cache" / "audiosim"


def test_a_changed_source_gives_a_new_folder_to_itself_and_to_all_that_import_it(tmp_path: Path) -> None:
    sums, blocks, ear = "engine/sums.py", "engine/blocks.py", "models/family/ear.py"
    package = tmp_path / "package"
    first = [folder(f) for f in (sums, blocks, ear)]
    assert len(set(first)) == 3
    os.utime(package / sums, ns=(1, 1))
    assert [folder(f) for f in (sums, blocks, ear)] == first, "what is in it counts"
    (package / blocks).write_text("from .sums import one\ntwo = 2\n")
    second = [folder(f) for f in (sums, blocks, ear)]
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, False]
    (package / sums).write_text("one = 1.0\n")
    third = [folder(f) for f in (sums, blocks, ear)]
    assert not set(third) & {*first, *second}
    (package / "models/family/late.py").write_text("three = 3\n")
    assert folder(ear) == third[2], "what is not imported with the module does not count"


def test_sources_of_this_package_are_found_by_both_kinds_of_import(tmp_path: Path) -> None:
    outside = tmp_path / "mine.py"
    outside.write_text("from package.engine.sums import one\nfrom numpy import sin\n")
    before = folder(str(outside))
    (tmp_path / "package" / "engine" / "sums.py").write_text("one = 2\n")
    assert folder(str(outside)) != before


def test_without_a_usable_home_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("a file, where a folder should be")
    found = folder()
    assert found.parent.parent == tmp_path / "tmp"
    assert found.is_dir()

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda p: p)  # nobody knows where home is
    assert folder() == found


@pytest.mark.skipif(ROOT, reason="nothing is unwritable to root")
def test_unwritable_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    assert folder().parent.parent == tmp_path / "tmp"


def test_without_any_place_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "home"))
    assert asked() == ""

    def double(x: float) -> float:
        return 2 * x

    assert kernel.kernel(double)(2.0) == 4


@pytest.mark.skipif(not ROOT, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("whose", ["parent", "folder"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, whose: str) -> None:
    found = folder()
    os.chown(found.parent if whose == "parent" else found, STRANGER, STRANGER)
    second = folder()
    assert second.parent.parent == tmp_path / "tmp"
    os.chown(second.parent if whose == "parent" else second, STRANGER, STRANGER)
    assert asked() == ""


def test_what_was_not_used_for_a_month_goes(tmp_path: Path) -> None:
    days = time.time() - 86400 * np.array([40.0, 20.0])
    old, recent, foreign = (tmp_path / "home" / "audiosim" / n for n in ("kernels-0", "kernels-1", "letters"))
    for place, when in ((old, days[0]), (recent, days[1]), (foreign, days[0])):
        place.mkdir(parents=True)
        (place / "file").write_text("")
        os.utime(place, (when, when))
    found = folder()
    assert not old.exists()
    assert recent.exists()
    assert foreign.exists()
    os.utime(found, (days[0], days[0]))
    assert folder() == found
    assert time.time() - found.stat().st_mtime < 86400, "using it keeps it"


@compiled_only
def test_numba_cache_dir_is_respected(tmp_path: Path, process: Callable[..., subprocess.Popen[bytes]]) -> None:
    places = {"NUMBA_CACHE_DIR": str(tmp_path / "numba"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    done = process(python=("-c", ADD), env=places)
    assert done.communicate()[1] == b""
    assert list((tmp_path / "numba").rglob("moments.error-*.nbi"))
    assert not (tmp_path / "home").exists()


@compiled_only
def test_the_next_process_compiles_nothing(tmp_path: Path, process: Callable[..., subprocess.Popen[bytes]]) -> None:
    script = ADD + "print(sum(error.stats.cache_hits.values()), sum(error.stats.cache_misses.values()))"
    places = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "home")}
    out = [process(python=("-c", script), env=places).communicate() for _ in range(2)]
    assert out == [(b"0 1\n", b""), (b"1 0\n", b"")]
    assert list((tmp_path / "home" / "audiosim").glob("kernels-*/**/moments.error-*.nbi"))


@compiled_only
def test_kernels_run_without_the_interpreter_lock() -> None:
    from audiosim.engine import divergence, moments, stream

    for function in (divergence.phases, divergence.differences, moments.error, stream.read):
        assert function.targetoptions["nogil"]  # type: ignore[attr-defined]


@compiled_only
def test_the_process_that_compiles_gives_the_bits_of_those_that_load(
    tmp_path: Path, process: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """In whatever order kernels are loaded: a kernel holds functions that are kernels themselves."""
    script = (
        "import sys, numpy as n; from audiosim.models.auditory import complex_gammatone as c\n"
        "state = c._at_rest(c.bank(48000))\n"
        "if 'four' in sys.argv: c._advance_four(state.copy(), 1.0, 0.5, 0.2, 0.1)\n"
        "if 'one' in sys.argv: c._advance(state, 1.0)\n"
        "print(hash(c.powers(n.sin(n.arange(3000.0) ** 2), 48000).tobytes()), len(c._powers.stats.cache_hits))"
    )
    places = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONHASHSEED": "0"}
    runs = [(), (), ("four",), ("one", "four")]
    out = [process(*before, python=("-c", script), env=places).communicate() for before in runs]
    assert all(errors == b"" for _, errors in out)
    bits = [printed.split() for printed, _ in out]
    assert [hits for _, hits in bits] == [b"0", b"1", b"1", b"1"]
    assert len({value for value, _ in bits}) == 1


@compiled_only
@pytest.mark.parametrize("compiler", [kernel.kernel, kernel.fused_kernel, kernel.exact_kernel])
def test_a_kernel_shares_no_machine_code_with_others(compiler: Callable[..., Any]) -> None:
    """Copies of one function differ in last digits, and of two with one name a process runs either."""

    @compiler
    def inner(x: np.ndarray) -> float:
        total = 0.0
        for i in range(x.size):
            total += x[i] * x[i]
        return total + float(np.median(x))

    @compiler
    def outer(x: np.ndarray) -> float:
        return inner(x) + inner(x[::2]) + float(np.sort(x)[0])

    x = np.arange(9.0)
    assert outer(x) == inner(x) + inner(x[::2])
    for made in (inner, outer):
        (overload,) = (o for types, o in made.overloads.items() if types[0].layout == "C")
        defined = [f for f in overload.library._final_module.functions if not f.is_declaration]
        assert len(defined) > 1
        assert {f.linkage.name for f in defined} <= {"external", "internal", "private"}
        shared = [f for f in overload.library._get_module_for_linking().functions if not f.is_declaration]
        assert "linkonce_odr" in {f.linkage.name for f in shared}, "so that others can be compiled with it"


@pytest.mark.parametrize("compiler", [kernel.kernel, kernel.exact_kernel])
def test_sums_keep_nan_and_infinity(compiler: Callable[[Callable[..., float]], Callable[..., float]]) -> None:
    @compiler
    def ratios(x: np.ndarray, y: np.ndarray) -> float:
        total = 0.0
        for i in range(x.size):
            total += (x[i] - y[i]) / y[i]
        return total

    x = np.linspace(1, 2, 1000)
    assert ratios(x, x.copy()) == 0
    for bad in (np.nan, np.inf):
        x[500] = bad
        assert repr(float(ratios(x, np.ones(1000)))) == repr(bad)
    if COMPILED:  # a division by zero is a value, not an exception
        assert np.isnan(ratios(np.zeros(3), np.zeros(3)))
