"""The first comparison on a machine: `python -m tests.benchmarks.first_run` prints its CPU time beside a second one's,
how many kernels it compiles and what each takes, and the same from a package that carries kernels. --kernels lists all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

from audiosim.testing import signals
from tests.benchmarks.process import MAIN, RATE, cpu

PACKAGE = Path(__file__).parents[2] / "audiosim"
# Writes, at the end of a run, each compilation: its own seconds and those with what it calls, and the function.
TIMED = """
import json, sys, time
from numba.core import event
open_, done = [], []
class Compilations(event.Listener):
    def on_start(self, event):
        open_.append([time.thread_time(), 0.0])
    def on_end(self, event):
        begun, inner = open_.pop()
        took = time.thread_time() - begun
        if open_:
            open_[-1][1] += took
        function = event.data["dispatcher"].py_func
        done.append((took - inner, took, f"{function.__module__}.{function.__qualname__}"))
event.register("numba:compile", Compilations())
from audiosim.cli import run
run(sys.argv[2:])
json.dump(done, open(sys.argv[1], "w"))
"""


def kernels(files: list[str], folder: Path, show: int) -> None:
    """What is compiled, from the longest on."""
    out = folder / "compilations.json"
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "timed")}
    command = [sys.executable, "-c", TIMED, str(out), "compare", *files]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    rows = sorted(json.loads(out.read_text()), reverse=True)
    print(f"\n{len(rows)} compilations, {sum(row[0] for row in rows):.1f} CPU s\n")
    print("| function | CPU s | with those it calls |\n|---|---|---|")
    for own, whole, name in rows[:show]:
        print(f"| `{name}` | {own:.2f} | {whole:.2f} |")


def cold_and_warm(files: list[str], folder: Path, home: Path, repeats: int) -> tuple[float, float, float]:
    """CPU seconds of first and second runs of the package in this folder, and their ratio: medians."""
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(home)}
    os.environ.update(environment)
    command = [sys.executable, "-c", MAIN, "compare", *files]
    pairs = []
    for _ in range(repeats):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        pairs.append((cpu(command), cpu(command)))
    first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
    return first, second, statistics.median(a / b for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kernels", action="store_true", help="list every compilation, not the ten longest")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = [str(folder / name) for name in ("ref.wav", "test.wav")]
        ref = signals.speech_like(RATE, 10, seed=1)
        for file, samples in zip(files, (ref, ref + 0.1 * signals.pink(RATE, 10, seed=2)), strict=True):
            soundfile.write(file, samples.T, RATE)
        built = folder / "built"
        shutil.copytree(PACKAGE, built / "audiosim", ignore=shutil.ignore_patterns("__pycache__", "kernels"))
        os.chdir(folder)
        print("| default panel, 10 s | first, CPU s | second, CPU s | ratio | at most |\n|---|---|---|---|---|")
        for name, most in (("compiled on the machine", "12 s"), ("kernels in the package", "1.3")):
            if most == "1.3":
                command = [sys.executable, "-m", "audiosim.build_cache"]
                subprocess.run(command, check=True, cwd=built, capture_output=True)
            first, second, ratio = cold_and_warm(files, folder, built, arguments.repeats)
            print(f"| {name} | {first:.1f} | {second:.2f} | {ratio:.2f} | {most} |", flush=True)
        shutil.rmtree(built / "audiosim" / "kernels")
        kernels(files, folder, 1000 if arguments.kernels else 10)


if __name__ == "__main__":
    main()
