"""What stands in the root for other programs: the GitHub action and the pre-commit hook."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiosim.batch.pairing import manifest
from tests.conftest import Done

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
BASH = shutil.which("bash")

# Stands in for Python, its environment and the program: writes down what it was called with.
STAND_IN = f"""#!{sys.executable}
import os, pathlib, shutil, sys
me, arguments = pathlib.Path(sys.argv[0]), sys.argv[1:]
if arguments[:1] == ["-c"]:
    os.execv({sys.executable!r}, ["python", *arguments])
if arguments[:2] == ["-m", "venv"]:
    home = pathlib.Path(arguments[2], "bin")
    home.mkdir(parents=True)
    for name in ("python", "audiosim"):
        shutil.copy(me, home / name)
with open(os.environ["CALLS"], "a") as calls:
    print(repr((me.name, arguments, "" if sys.stdin.isatty() else sys.stdin.read())), file=calls)
sys.exit(int(os.environ.get("CODE", 0)) if me.name == "audiosim" else 0)
"""

NASTY = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "a && touch pwned",
    "${{ secrets.TOKEN }}",
    "-rf",
    "with space.wav",
    "*",
    "ünïcode",
]

posix = pytest.mark.skipif(BASH is None or os.name != "posix", reason="needs bash")


def test_users_reach_the_scripts_through_the_environment_alone() -> None:
    for step in STEPS.values():
        assert not EXPRESSION.search(step.get("run", ""))
        assert "run" not in step or step["shell"] == "bash"
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == set(ACTION["inputs"])
    for name, found in ACTION["inputs"].items():
        assert found["description"]
        assert found.get("required") is True or "default" in found, name
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.compare.outputs.{name} }}}}"
        assert f"{name}=" in STEPS["compare"]["run"]


def test_every_flag_is_one_of_batch(cli: Callable[..., Done]) -> None:
    page = cli("batch", "--help").out
    flags = re.findall(r"add (--[\w-]+)=|(--manifest)=", STEPS["compare"]["run"])
    assert len(flags) == 7
    assert all(re.search(rf"{''.join(flag)}\b", page) for flag in flags)


def test_kernels_are_kept_where_the_program_looks_for_them() -> None:
    kept = STEPS["kernels"]["with"]
    assert STEPS["compare"]["env"]["XDG_CACHE_HOME"] == kept["path"]
    assert kept["key"].startswith(kept["restore-keys"]), "an older run's are restored"
    assert list(STEPS).index("kernels") < list(STEPS).index("compare")


class Job:
    """A workflow's job: runs the action's steps as the runner does, with what the expressions stand for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs: dict[str, str] = {"python.python-path": str(folder / "python3")}
        (folder / "python3").write_text(STAND_IN)
        (folder / "python3").chmod(0o755)
        (folder / "work").mkdir()

    def run(self, step: str, code: int = 0, **inputs: str) -> int:
        values = {name: str(i.get("default", "")) for name, i in ACTION["inputs"].items()} | inputs

        def meant(expression: re.Match[str]) -> str:
            what = expression[1].strip()
            if what == "github.action_path":
                return str(ROOT)
            if what == "runner.temp":
                return str(self.folder / "a temp")
            if what.startswith("inputs."):
                return values[what.removeprefix("inputs.")]
            _, name, _, output = what.split(".")
            return self.outputs[f"{name}.{output}"]

        output = self.folder / "output"
        output.write_text("")
        environment = {
            **{name: EXPRESSION.sub(meant, text) for name, text in STEPS[step]["env"].items()},
            "PATH": os.environ["PATH"],
            "RUNNER_TEMP": str(self.folder / "a temp"),
            "GITHUB_OUTPUT": str(output),
            "CALLS": str(self.folder / "calls"),
            "CODE": str(code),
        }
        script = self.folder / "script.sh"
        script.write_text(STEPS[step]["run"], encoding="utf-8")
        ended = subprocess.run(
            [str(BASH), "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        lines = output.read_text(encoding="utf-8").splitlines()
        self.outputs |= {f"{step}.{key}": value for key, _, value in (line.partition("=") for line in lines)}
        assert not list(self.folder.rglob("pwned*"))
        return ended.returncode

    def calls(self) -> list[tuple[str, list[str], str]]:
        import ast

        calls = self.folder / "calls"
        found = [ast.literal_eval(line) for line in calls.read_text(encoding="utf-8").splitlines()]
        calls.unlink()
        return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path)
    (tmp_path / "a temp").mkdir()
    assert job.run("install") == 0
    job.calls()
    return job


@posix
@pytest.mark.parametrize("extras", ["", "torch,remote", "$(touch pwned)"])
def test_it_installs_itself_beside_the_python_of_the_workflow(tmp_path: Path, extras: str) -> None:
    job = Job(tmp_path)
    assert job.run("install", extras=extras) == 0
    (_, venv, _), (_, pip, _) = job.calls()
    assert venv == ["-m", "venv", str(tmp_path / "a temp" / "audiosim")]
    assert pip[-1] == (f"{ROOT}[{extras}]" if extras else str(ROOT))
    assert job.outputs["install.home"] == str(tmp_path / "a temp" / "audiosim" / "bin")


@posix
def test_folders_are_a_batch(job: Job) -> None:
    (job.folder / "work" / "refs").mkdir()
    code = job.run(
        "compare",
        reference="refs",
        test="one\n\ntwo\r\n",
        metrics="log-mel:bands=64\nsi-sdr\n",
        require="si-sdr>=20\nmean(log-mel)<3",
        baseline="base.jsonl",
        tolerance="log-mel=2%",
        report="out.html",
        args="--align=auto\n--pair\nstem",
    )
    assert code == 0
    ((program, arguments, given),) = job.calls()
    assert (program, given) == ("audiosim", "")
    assert arguments == [
        "batch",
        *("--metric=log-mel:bands=64", "--metric=si-sdr"),
        *("--require=si-sdr>=20", "--require=mean(log-mel)<3"),
        *("--baseline=base.jsonl", "--tolerance=log-mel=2%"),
        *("--report=out.html", "--output=audiosim.jsonl"),
        *("--align=auto", "--pair", "stem"),
        *("--", "refs", "one", "two"),
    ]
    outputs = {name: job.outputs[f"compare.{name}"] for name in ACTION["outputs"]}
    assert outputs == {"passed": "true", "report": "out.html", "journal": "audiosim.jsonl"}


@posix
def test_files_are_a_manifest(job: Job) -> None:
    assert job.run("compare", reference='a "b".wav', test="c,d.wav\ne.wav") == 0
    ((_, arguments, given),) = job.calls()
    assert arguments == ["batch", "--manifest=-", "--output=audiosim.jsonl"]
    assert [json.loads(line) for line in given.splitlines()] == [
        {"reference": 'a "b".wav', "test": "c,d.wav"},
        {"reference": 'a "b".wav', "test": "e.wav"},
    ]
    import io

    pairs = manifest("-", io.StringIO(given)).pairs
    assert [(p.reference, p.test, p.id) for p in pairs] == [
        ('a "b".wav', "c,d.wav", "c,d.wav"),
        ('a "b".wav', "e.wav", "e.wav"),
    ]


@posix
@pytest.mark.parametrize("code", [1, 2, 3, 70])
def test_the_exit_code_is_kept(job: Job, code: int) -> None:
    assert job.run("compare", code, reference="a.wav", test="b.wav") == code
    assert job.outputs["compare.passed"] == "false"


@posix
@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_that_is_given_is_run(job: Job, nasty: str) -> None:
    free = ("metrics", "require", "baseline", "tolerance", "report", "journal", "args", "test")
    given: dict[str, Any] = dict.fromkeys(free, nasty)
    assert job.run("compare", reference=nasty, **given) == 0
    ((_, arguments, manifest),) = job.calls()
    flags = ("metric", "require", "baseline", "tolerance", "report", "output")
    assert arguments == ["batch", "--manifest=-", *(f"--{flag}={nasty}" for flag in flags), nasty]
    assert json.loads(manifest) == {"reference": nasty, "test": nasty}
    (job.folder / "work" / nasty).mkdir()
    assert job.run("compare", reference=nasty, **given) == 0
    ((_, arguments, _),) = job.calls()
    assert arguments[-4:] == [nasty, "--", nasty, nasty]


@posix
def test_outputs_cannot_be_forged(job: Job) -> None:
    job.run("compare", 1, reference="a", test="b", report="x\npassed=true", journal="y\r\nreport=z")
    outputs = {name: job.outputs[f"compare.{name}"] for name in ACTION["outputs"]}
    assert (outputs["passed"], outputs["report"]) == ("false", "x")
    assert outputs["journal"].strip() == "y"


def test_the_hook_is_a_batch_that_the_user_gives_its_arguments() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["language"], hook["entry"]) == ("audiosim-check", "python", "audiosim batch")
    assert hook["pass_filenames"] is False
    assert re.search(hook["files"], "a/b.flac")
    assert not re.search(hook["files"], "a/wav.py")
