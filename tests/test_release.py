"""Dockerfile, release workflow and wheel, read rather than run: pins, permissions, users, what is copied and packed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import audiosim

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
JOBS: dict[str, Any] = WORKFLOW["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What nobody from outside chooses.
SAFE = re.compile(r"\$\{\{ (github\.ref|github\.token|matrix\.\w+) \}\}")


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_workflows_hold_to_few_rights(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}, "each job names its own"
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert "write-all" not in job["permissions"]
        assert re.fullmatch(r"[a-z]+-\d[\d.]*", job["runs-on"]), "a runner of one version"
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40}|release/v\d+)", step["uses"]), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", ""), "values reach the shell through the environment"
            for text in [*step.get("env", {}).values(), *step.get("with", {}).values()]:
                assert "${{" not in SAFE.sub("", str(text))


def test_a_tag_is_what_releases() -> None:
    triggers = WORKFLOW[True]  # yaml takes `on` for true
    assert triggers == {"push": {"tags": ["v*"]}}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False


def test_one_job_may_publish_and_does_nothing_else() -> None:
    trusted = [name for name, job in JOBS.items() if job["permissions"].get("id-token") == "write"]
    assert trusted == ["publish"]
    publish = JOBS["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    assert set(publish["needs"]) >= {"build"}
    assert publish["steps"][0]["with"]["name"] == "plain", "wheels with kernels fit one numba alone"
    writers = [name for name, job in JOBS.items() if job["permissions"].get("contents") == "write"]
    assert writers == ["attach"]


def test_what_is_built_is_tried_before_it_is_uploaded() -> None:
    for name in ("build", "kernels"):
        steps = JOBS[name]["steps"]
        tried = next(i for i, step in enumerate(steps) if step.get("name") == "Try the wheel")
        uploaded = next(i for i, step in enumerate(steps) if step.get("uses", "").startswith("actions/upload-artifact"))
        assert tried < uploaded
        assert steps[uploaded]["with"]["if-no-files-found"] == "error"
        assert "audiosim compare" in steps[tried]["run"].replace('audiosim" compare', "audiosim compare")
    for file in ("speech.flac", "speech_degraded.flac"):
        assert (ROOT / "samples" / file).is_file()
    assert '= "$GITHUB_REF_NAME"' in "".join(step.get("run", "") for step in JOBS["build"]["steps"])


def test_pythons_are_those_of_the_project() -> None:
    least = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    pythons = [tuple(map(int, version.split("."))) for version in JOBS["kernels"]["strategy"]["matrix"]["python"]]
    assert min(pythons) == least
    assert (3, 12) in pythons
    (default,) = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE)
    assert tuple(map(int, default.split("."))) in pythons


def test_a_wheel_with_kernels_is_named_for_its_platform() -> None:
    """The documented step and the workflow's are one."""
    told = (ROOT / "docs/recipes/README.md").read_text(encoding="utf-8")
    (step,) = [step["run"] for step in JOBS["kernels"]["steps"] if "build_cache" in step.get("run", "")]
    for text in (told, step):
        order = [text.index(part) for part in ("audiosim.build_cache", "build --wheel", "wheel tags --remove")]
        assert order == sorted(order)
        assert re.search(r"--python-tag \S+ --abi-tag \S+ --platform-tag linux_x86_64", text)


DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, argument), lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_the_dockerfile_is_one() -> None:
    known = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert images == ["python:${PYTHON}-slim-bookworm"] * 2, "of one version, and without a compiler"
    for word, rest in instructions():
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
            assert "sudo" not in rest
            assert "pip install" not in rest or "--no-cache-dir" in rest


def test_the_container_is_not_root_and_works_in_data() -> None:
    last = instructions()[max(i for i, (word, _) in enumerate(instructions()) if word == "FROM") :]
    stage = dict(last)
    assert stage["USER"] == "audiosim"
    assert "useradd" in stage["RUN"]
    assert re.search(r"--uid [1-9]\d+ audiosim$", stage["RUN"])
    assert stage["WORKDIR"] == "/data"
    assert stage["ENTRYPOINT"] == '["audiosim"]'
    assert stage["CMD"] == '["--help"]'
    homes = re.findall(r"XDG_CACHE_HOME=(\S+)", DOCKERFILE)
    assert len(set(homes)) == 1, "kernels are looked for where they were put"
    assert f"chmod -R a+rwX {homes[0]}" in DOCKERFILE, "any user may add some"
    for tool in ("audiosim.build_cache", "audiosim warm"):
        assert f"{tool} ${{METRICS}}" in DOCKERFILE


def test_what_is_copied_is_all_that_the_build_needs() -> None:
    copied = [shlex.split(rest)[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    files = {name for names in copied for name in names}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == files
    assert all((ROOT / name).exists() for name in files)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    needed = {*wheel["wheel"]["packages"], PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    needed |= {source.split("/")[0] for source in wheel["wheel"]["shared-data"]}
    assert needed == files


def test_extras_exist_that_messages_name() -> None:
    extras = PROJECT["optional-dependencies"]
    for file in Path(audiosim.__file__).parent.rglob("*.py"):
        for named in re.findall(r"pip install 'audiosim\[([\w,]+)\]'", file.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= set(extras), file
    assert "torchmetrics>=1.4" in extras["torchmetrics"]
    assert not any("torch" in needed for needed in PROJECT["dependencies"]), "pip install . stays light"


def test_the_wheel_holds_what_programs_need(tmp_path: Path) -> None:
    """Built for real, without a network: code, tables, the schema, man pages; no tests, and nothing compiled."""
    pytest.importorskip("hatchling")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = Path(audiosim.__file__).parent
    data = {
        f"audiosim/{p.relative_to(package).as_posix()}"
        for p in package.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and "kernels" not in p.relative_to(package).parts[:1]
    }
    assert data <= names
    assert {"audiosim/schema.json", "audiosim/py.typed"} <= names
    assert any(name.endswith("share/man/man1/audiosim.1") for name in names)
    assert not [name for name in names if name.startswith("tests") or name.endswith((".pyc", ".flac", ".wav"))]
    if not (package / "kernels").exists():
        assert wheel.name.endswith("-py3-none-any.whl")
