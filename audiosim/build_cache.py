"""Compile kernels ahead, into this package: `python -m audiosim.build_cache [METRIC...]`, then build the wheel.

They run on any processor of the level x86-64-v3 (AVX2, since 2013), with the Python and numba that compiled them and
the sources as they are; elsewhere kernels are compiled as ever. Such a wheel is for this platform alone: tag it so.
--table writes how many kernels each metric has, for the line that counts them.
"""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .engine import kernel
from .engine.compilation import TABLE


def build(metrics: Sequence[str]) -> Path:
    """Compile the kernels of these metrics (as `audiosim warm`); the folder that holds them."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise SystemExit(f"audiosim.build_cache compiles for {kernel.TARGET}, and this machine is {platform.machine()}")
    out = kernel.build_folder()
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": home,
            "NUMBA_CPU_NAME": kernel.TARGET,
            "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in kernel.TARGET_NEEDS),
        }
        environment.pop("NUMBA_CACHE_DIR", None)
        subprocess.run([sys.executable, "-m", "audiosim", "warm", *metrics], check=True, env=environment)
        for index in Path(home, "audiosim").glob("kernels-*/*/*.nbi"):
            folder = out / index.parents[1].name
            folder.mkdir(parents=True, exist_ok=True)
            _carry(index, folder)
    return out


def _carry(index: Path, folder: Path) -> None:
    """An index of numba's and its files: the target by name, in the place of the source's time and the processor."""
    with index.open("rb") as file:
        version = pickle.load(file)
        _, files = pickle.loads(file.read())
    by_target = {(signature, kernel.TARGET, function): name for (signature, _, function), name in files.items()}
    (folder / index.name).write_bytes(pickle.dumps(version) + pickle.dumps((kernel.TARGET, by_target)))
    for name in files.values():
        shutil.copy(index.parent / name, folder / name)


def write_table(metrics: Sequence[str]) -> None:
    """Which kernels the first comparison by each metric compiles: each in a process that has none yet."""
    rows = [line.split(",") for line in TABLE.read_text().splitlines()[1:]]
    rows = [row for row in rows if row[0] not in metrics]
    for metric in metrics:
        with tempfile.TemporaryDirectory() as home:
            program = "import sys; from audiosim.build_cache import first; first(sys.argv[1])"
            done = subprocess.run(
                [sys.executable, "-c", program, metric],
                check=True,
                env={**os.environ, "XDG_CACHE_HOME": home},
                stdout=subprocess.PIPE,
                text=True,
            )
        rows += [[metric, name] for name in dict.fromkeys(done.stdout.split("\n")) if name]
    TABLE.write_text("metric,kernel\n" + "".join(f"{','.join(row)}\n" for row in sorted(rows)))


def first(metric: str) -> None:
    """Print the name of each kernel that a comparison of stereo sounds compiles."""
    from .engine.compilation import when_compiling
    from .results import compare
    from .signal import Signal
    from .testing import signals

    when_compiling(lambda name: print(name.replace(",", ";"), flush=True))
    ref = signals.speech_like(48000, 4, seed=1, channels=2)
    test = ref + 0.1 * signals.pink(48000, 4, seed=2, channels=2)
    compare(Signal(ref.astype("float32"), 48000), Signal(test.astype("float32"), 48000), metric)


def main() -> None:
    from . import metrics
    from .presets import PRESETS

    arguments = [a for a in sys.argv[1:] if a != "--table"]
    chosen = metrics.own_names() if arguments == ["all"] else arguments or PRESETS["default"]
    if "--table" in sys.argv:
        write_table(chosen)
    else:
        print(build(chosen))


if __name__ == "__main__":
    main()
