"""What a process loads before it compares, and kernels that a package carries."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import audiosim
from audiosim.testing.signals import COMPILED

PACKAGE = Path(audiosim.__file__).parent
WHOLE = """
from numba.core.typing import cffi_utils
from numba.np import arraymath
print(cffi_utils.SUPPORTED, arraymath._HAVE_BLAS, "scipy.linalg" in sys.modules)
"""
COMPARE = "audiosim.compare(np.ones(800), np.zeros(800), 'mse', rate=8000)"
COMMAND = """
from audiosim.engine import start
start.whole_process = True
from audiosim.cli import run
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    assert run(["compare", sys.argv[1], sys.argv[1], "-m", "mse"]) == 0
"""

compiled_only = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


def said(program: str, *argv: object, folder: Path = PACKAGE.parent, **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, numpy as np, audiosim\n{program}", *map(str, argv)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout.strip(), done.stderr


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "x.wav", np.sin(np.arange(8000.0)), 8000)
    return tmp_path / "x.wav"


@compiled_only
def test_numba_stays_whole_in_a_program_of_others(sound: Path) -> None:
    cffi = str(find_spec("cffi") is not None)
    assert said(f"{COMPARE}{WHOLE}")[0] == f"{cffi} True True"
    in_process = COMMAND.replace("start.whole_process = True", "")
    assert said(f"{in_process}{WHOLE}", sound)[0] == f"{cffi} True True"


@compiled_only
def test_a_process_of_ours_loads_no_linear_algebra(sound: Path) -> None:
    assert said(f"{COMMAND}{WHOLE}", sound)[0] == "False False False"


@compiled_only
def test_what_others_import_is_found_in_a_process_of_ours(sound: Path) -> None:
    assert said(f"{COMMAND}\nimport scipy.linalg\nprint(scipy.linalg.norm([3, 4]))", sound)[0] == "5.0"


@compiled_only
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="kernels are carried for x86-64")
def test_a_package_carries_its_kernels(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site" / "audiosim"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    built, _ = said("from audiosim import build_cache; print(build_cache.build(['mse']))", folder=copy.parent)
    assert Path(built).parent == copy / "kernels"
    assert list(Path(built).glob("kernels-moments-*/*.nbc"))

    shutil.move(tmp_path / "site", tmp_path / "elsewhere")
    copy = tmp_path / "elsewhere" / "audiosim"
    compare = COMMAND + "from audiosim.engine.compilation import target; print(target())"

    def run(home: str, **environment: str) -> tuple[str, str]:
        return said(compare, sound, folder=copy.parent, XDG_CACHE_HOME=str(tmp_path / home), **environment)

    target, told = run("first")
    if target.startswith("x86-64-v3"):  # else this processor is older
        assert told == "", "nothing is compiled, wherever the package lies"
        assert "compiling" in run("baseline", NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="")[1]
        with (copy / "engine" / "moments.py").open("a") as source:
            source.write("\n# changed\n")
        assert "compiling" in run("changed")[1], "kernels of other sources are not taken"
