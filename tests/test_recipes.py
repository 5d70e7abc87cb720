"""The recipes do what they say: scripts of CI run here, the CMake project builds, trackers are stand-ins that note."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

import audiosim
from audiosim.testing.signals import COMPILED, noise, speech_like

RECIPES = Path(__file__).parents[1] / "docs" / "recipes"
RATE = 16000
SECONDS = 0.5 if COMPILED else 0.2
posix = pytest.mark.skipif(shutil.which("bash") is None or os.name != "posix", reason="needs bash")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with originals/ and decoded/; on the PATH audiosim, and a pip that notes what it is given."""
    for folder, level in (("originals", 0.0), ("decoded", 0.03)):
        (tmp_path / folder).mkdir()
        for name, seed in (("a", 1), ("b", 2)):
            sound = noise(RATE, SECONDS, seed)[0] + level * noise(RATE, SECONDS, 9)[0]
            soundfile.write(tmp_path / folder / f"{name}.wav", sound, RATE)
    programs = tmp_path / "programs"
    programs.mkdir()
    root = Path(audiosim.__file__).parents[1]
    for name, text in (
        ("audiosim", f'PYTHONPATH="{root}" exec "{sys.executable}" -m audiosim "$@"'),
        ("pip", 'printf "%s\\n" "$@" >pip.txt'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(name: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


def run(script: str, environment: dict[str, str]) -> int:
    """As a runner does it."""
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, env={**os.environ, **environment}, timeout=100, capture_output=True).returncode


def ruined(place: Path) -> None:
    soundfile.write(place / "decoded" / "b.wav", noise(RATE, SECONDS, 5)[0], RATE)


def has_failures(junit: Path) -> bool:
    import xml.etree.ElementTree as ET

    (suites,) = ET.parse(junit).getroot().iter("testsuites")
    return int(suites.attrib["failures"]) > 0


@posix
def test_gitlab(place: Path) -> None:
    (job,) = recipe("gitlab-ci.yml").values()
    home = job["variables"]["XDG_CACHE_HOME"]
    assert home.removeprefix("$CI_PROJECT_DIR/") + "/" in job["cache"]["paths"]
    environment = {"AUDIOSIM": job["variables"]["AUDIOSIM"]}
    made = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
    assert job["artifacts"]["when"] == "always"
    assert run("\n".join(job["script"]), environment) == 0
    assert all((place / name).stat().st_size for name in made)
    assert not has_failures(place / "audiosim.xml")
    assert (place / "pip.txt").read_text().split() == ["install", "--quiet", "audiosim"]
    ruined(place)
    assert run("\n".join(job["script"]), environment) == 1
    assert has_failures(place / "audiosim.xml")


@posix
def test_azure(place: Path) -> None:
    pipeline = recipe("azure-pipelines.yml")
    variables = pipeline["variables"] | {"Pipeline.Workspace": str(place / "workspace")}

    def meant(text: str) -> str:
        while (new := re.sub(r"\$\(([\w.]+)\)", lambda m: variables[m[1]], text)) != text:
            text = new
        return text

    environment = {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))}
    tasks = {step["task"].partition("@")[0]: step for step in pipeline["steps"] if "task" in step}
    assert all(re.fullmatch(r"\w+@\d+", step["task"]) for step in pipeline["steps"] if "task" in step)
    assert meant(tasks["Cache"]["inputs"]["path"]) == meant(variables["XDG_CACHE_HOME"])
    assert tasks["Cache"]["inputs"]["key"].startswith(tasks["Cache"]["inputs"]["restoreKeys"])
    install, compare = (meant(step["script"]) for step in pipeline["steps"] if "script" in step)
    assert run(install, environment) == run(compare, environment) == 0
    assert (place / tasks["PublishTestResults"]["inputs"]["testResultsFiles"]).stat().st_size
    (page,) = [step for step in pipeline["steps"] if "publish" in step]
    assert (place / page["publish"]).stat().st_size
    ruined(place)
    assert run(compare, environment) == 1
    assert {step.get("condition") for step in (page, tasks["PublishTestResults"])} == {"succeededOrFailed()"}


CMAKE = (RECIPES / "cmake" / "CMakeLists.txt").read_text(encoding="utf-8")


def test_cmake_names_what_there_is(cli: Callable[..., Any]) -> None:
    page = cli("compare", "--help").out
    assert all(flag in page for flag in re.findall(r"--(?:require|report)\b", CMAKE))
    assert (RECIPES / "cmake" / "render.cpp").is_file()
    assert CMAKE.count("(") == CMAKE.count(")")


@pytest.mark.skipif(
    not (COMPILED and shutil.which("cmake") and (shutil.which("c++") or os.environ.get("CXX")) and os.name == "posix"),
    reason="needs cmake, a C++ compiler and compiled kernels",
)
def test_cmake(place: Path) -> None:
    shutil.copytree(RECIPES / "cmake", place / "project")
    build = place / "build"

    def make(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    assert make("cmake", "-S", "project", "-B", str(build), "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror").returncode == 0
    assert make("cmake", "--build", str(build)).returncode == 0
    assert make("ctest", "--test-dir", str(build)).returncode != 0, "there is no golden file yet"
    assert make("cmake", "--build", str(build), "--target", "accept").returncode == 0
    done = make("ctest", "--test-dir", str(build))
    assert done.returncode == 0, done.stdout
    golden = place / "project" / "golden" / "pluck.wav"
    sound, rate = soundfile.read(golden)
    assert (sound.shape, rate) == ((48000,), 48000)
    assert 0.2 < np.abs(sound).max() < 0.51
    spectrum = np.abs(np.fft.rfft(sound))
    assert 215 < spectrum[100:300].argmax() + 100 < 225, "the pitch that it is asked for"
    soundfile.write(golden, np.roll(sound, 3), rate)
    assert "pluck_sounds_the_same (Failed)" in make("ctest", "--test-dir", str(build)).stdout


def loaded(name: str, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe, with a tracker that only notes."""
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@posix
def test_mlflow(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: dict[str, Any] = {"files": []}

    class Run:
        def __enter__(self) -> Run:
            return self

        def __exit__(self, *_: object) -> None:
            noted["ended"] = True

    mlflow = ModuleType("mlflow")
    mlflow.start_run = Run  # type: ignore[attr-defined]
    mlflow.log_params = noted.update  # type: ignore[attr-defined]
    mlflow.log_metric = noted.__setitem__  # type: ignore[attr-defined]
    mlflow.log_artifact = noted["files"].append  # type: ignore[attr-defined]
    recipe = loaded("mlflow_batch", mlflow, monkeypatch)
    recipe.log_batch("originals", "decoded")
    assert noted["ended"]
    assert noted["references"] == "originals"
    assert noted["audiosim"] == audiosim.__version__
    values = [audiosim.compare(f"originals/{n}.wav", f"decoded/{n}.wav", "si-sdr")["si-sdr"].value for n in "ab"]
    assert noted["si-sdr"] == pytest.approx(np.mean(values), rel=1e-12)
    assert noted["log-mel_bands_64"] > 0, "a name that MLflow takes"
    assert all((place / name).stat().st_size for name in noted["files"])


def test_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []

    class Table:
        def __init__(self, columns: list[str]) -> None:
            self.columns, self.rows = columns, []  # type: ignore[var-annotated]

        def add_data(self, *row: Any) -> None:
            assert len(row) == len(self.columns)
            self.rows.append(row)

    wandb = ModuleType("wandb")
    wandb.Table = Table  # type: ignore[attr-defined]
    wandb.Audio = lambda samples, sample_rate: (samples.shape, sample_rate)  # type: ignore[attr-defined]
    recipe = loaded("wandb_validation", wandb, monkeypatch)
    refs = [speech_like(RATE, SECONDS + i / 20, seed=i, channels=2) for i in range(6)]
    tests = [ref + 0.01 * (i + 1) * noise(RATE, SECONDS + i / 20, i, 2) for i, ref in enumerate(refs)]
    refs[1] *= 0  # has no value
    recipe.log_validation(SimpleNamespace(log=lambda what, step: logged.append((what, step))), refs, tests, RATE, 7)
    ((what, step),) = logged
    values = audiosim.Metric("si-sdr", RATE)(refs, tests)
    assert step == 7
    assert what["audiosim/si-sdr"] == pytest.approx(np.nanmean(values), rel=1e-12)
    assert [row[0] for row in what["audiosim/worst"].rows] == [5, 4, 3, 2, 0]
    assert what["audiosim/worst"].rows[0][1] == values[5]
    assert what["audiosim/worst"].rows[0][-1] == (refs[5].T.shape, RATE), "channels last, as W&B has them"


def test_every_recipe_says_what_it_does_and_is_listed() -> None:
    listed = (RECIPES / "README.md").read_text(encoding="utf-8")
    for file in RECIPES.rglob("*"):
        if file.is_file() and file.name != "README.md" and "__pycache__" not in file.parts:
            assert f"({file.relative_to(RECIPES).as_posix()})" in listed
            assert re.match(r'("""|# |// )[A-Z]', file.read_text(encoding="utf-8"))
