"""What all tests share: an environment without the developer's settings, and a way into the command line."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import audiosim

if "PYTEST_XDIST_WORKER" in os.environ:  # there is one for each core: threads of torch and BLAS would wait in turns
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PACKAGE = Path(audiosim.__file__).parent
SHARED = Path(__file__).parents[2] / "shared"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What thousands of collected tests and all that they import hold stays for good: to look through it again and
    again for garbage took most of the time of some tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@dataclass(frozen=True)
class Done:
    """A finished command: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def bare_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No AUDIOSIM_* variable, no configuration file of the user, no forced colours."""
    for name in list(os.environ):
        if name.startswith("AUDIOSIM_") or name in ("NO_COLOR", "FORCE_COLOR", "_AUDIOSIM_COMPLETE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))


@pytest.fixture(autouse=True)
def model_of_visqol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the extra visqol is installed or not, a model of our own stands in for the original's, which is no
    monotone function of distortions that it was not made for: 1 + 3.7 e^(-0.1 |1 - NSIM|^2)."""
    from audiosim.models.visqol import support_vectors

    model = Path(__file__).parent / "data" / "visqol_stand_in.txt"
    monkeypatch.setattr(support_vectors, "installed_model", lambda: model)


@pytest.fixture(scope="session")
def random_networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the user's data with small random networks in files like those of the trained ones."""
    from .trained.random_networks import written

    home = tmp_path_factory.mktemp("data")
    folder = home / "audiosim" / "models"
    folder.mkdir(parents=True)
    written(folder)
    return home


@pytest.fixture(autouse=True)
def stand_in_networks(monkeypatch: pytest.MonkeyPatch, random_networks: Path) -> None:
    """Whether weights and onnxruntime are here or not, networks of our own stand in for the trained ones. In
    tests/trained there are none."""
    from audiosim.trained import embedding, musicnn, onnx, weights

    from . import stand_ins

    found, files = weights.find, ("dpam", "cdpam", "nisqa", "resemblyzer")

    def find(name: str, path: str | Path | None = None) -> Path:
        return found(name, path) if name in files else Path(path or name)

    monkeypatch.setenv("XDG_DATA_HOME", str(random_networks))
    monkeypatch.setattr(weights, "find", find)
    for module in (onnx, musicnn):
        monkeypatch.setattr(module, "network", stand_ins.network)
    monkeypatch.setattr(onnx, "halves", stand_ins.halves)
    monkeypatch.setattr(embedding, "_held", lambda embedder, _: embedder)  # to the vector of the trained one


@pytest.fixture
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """There are no metrics from files and packages of others, neither before nor after the test."""
    from audiosim import outside, watch

    monkeypatch.setattr(outside, "_files", {})
    monkeypatch.setattr(watch, "_examined", set())
    caches = outside._found, outside._declared
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def shared() -> Path:
    """The folder of facts and oracles beside the checkout; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is not there")
    return SHARED


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """`audiosim` in this process, in an empty directory."""
    from audiosim.cli import run

    monkeypatch.chdir(tmp_path)
    # whichever test comes first compiles kernels: that is said in processes of their own
    monkeypatch.setattr("audiosim.engine.compilation.when_compiling", lambda *_: None)

    def call(*argv: object) -> Done:
        capsys.readouterr()
        code = run([str(a) for a in argv])
        out, err = capsys.readouterr()
        return Done(int(code), out, err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """`python -m audiosim` as a process of its own, which calls `before` first: half a second each, so only where
    it must be."""

    def start(
        *argv: object,
        python: tuple[str, ...] = ("-m", "audiosim"),
        before: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        def prepare() -> None:
            # A shell starts what runs in the background deaf to Ctrl-C; the tests press it all the same.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            before()

        environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **options.pop("env", {})}
        command = [sys.executable, *python, *(a if isinstance(a, bytes) else str(a) for a in argv)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, preexec_fn=prepare, **pipes)

    return start
