"""`audiosim batch` from folders to rows, and through everything that can befall it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import soundfile

from audiosim import compare
from audiosim.batch import journal as journals
from audiosim.batch.journal import read, slot
from audiosim.cli.batch import Pace
from audiosim.config import Format
from audiosim.errors import ExitCode
from audiosim.testing.signals import COMPILED, noise
from tests.conftest import Done

RATE = 8000
MANY = 500 if COMPILED else 60
Cli = Callable[..., Done]


def sounds(folder: Path, count: int, seconds: float = 0.05) -> tuple[Path, Path]:
    """Folders ref/ and test/ with so many pairs."""
    for name, noisy in (("ref", 0.0), ("test", 0.1)):
        (folder / name).mkdir(exist_ok=True)
        for i in range(count):
            x = noise(RATE, seconds, seed=i)[0] + noisy * (i + 1) * noise(RATE, seconds, seed=999)[0]
            soundfile.write(folder / name / f"{i:03d}.wav", x, RATE, subtype="FLOAT")
    return folder / "ref", folder / "test"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal as any reader of the file sees them."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def test_rows_are_those_of_compare(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 2)
    done = cli("batch", ref, test, "-m", "snr", "-m", "mse", "--format", "jsonl")
    assert done.code == 0
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [(r["id"], r["spec"]) for r in rows] == [(f"00{i}.wav", s) for i in range(2) for s in ("snr", "mse")]
    single = json.loads(cli("compare", rows[0]["reference"], rows[0]["test"], "-m", "snr", "--format", "jsonl").out)
    told = {k: v for k, v in single.items() if k not in ("verdict", "diagnosis", "contradictions")}  # of compare alone
    assert {k: rows[0][k] for k in told} == told
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_second_run_does_nothing_and_says_the_same(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 3)
    first = cli("batch", ref, test, "-m", "mse", "-o", "run.jsonl", "--format", "jsonl")
    before = (tmp_path / "run.jsonl").read_bytes()
    second = cli("batch", ref, test, "-m", "mse", "-o", "run.jsonl", "--format", "jsonl")
    assert (second.code, second.out) == (0, first.out)
    assert "3 of 3 pairs are in run.jsonl already" in second.err
    assert (tmp_path / "run.jsonl").read_bytes() == before
    cli("batch", ref, test, "-m", "mse", "-m", "mae", "-o", "run.jsonl")
    assert Counter(r["spec"] for r in rows_of(tmp_path / "run.jsonl")) == {"mse": 3, "mae": 3}


def test_what_cannot_be_paired_or_read_has_a_row_or_a_line(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 4)
    (test / "000.wav").unlink()
    (test / "001.wav").write_text("no sound")
    done = cli("batch", ref, test, "-m", "mse", "--format", "jsonl")
    assert done.code == ExitCode.INPUT
    assert f"{ref}/000.wav has no test below {test}" in done.err
    rows = {json.loads(line)["id"]: json.loads(line) for line in done.out.splitlines()}
    assert {name: row["status"] for name, row in rows.items()} == {"001.wav": "error", "002.wav": "ok", "003.wav": "ok"}
    assert rows["001.wav"]["value"] is None
    (test / "001.wav").unlink()
    assert cli("batch", ref, test, "-m", "mse", "--allow-missing").code == 0
    assert cli("batch", ref, tmp_path / "none").code == ExitCode.INPUT
    (tmp_path / "empty").mkdir()
    assert cli("batch", ref, tmp_path / "empty").code == ExitCode.NOTHING
    assert cli("batch", ref).code == ExitCode.USAGE
    assert cli("batch", ref, test, "-m", "snrr").code == ExitCode.USAGE


def test_a_dry_run_prints_the_pairs(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 2)
    done = cli("batch", ref, test, "-n")
    assert done.code == 0
    assert done.out.splitlines() == [
        "id\tsystem\treference\ttest",
        *(f"00{i}.wav\t\t{ref}/00{i}.wav\t{test}/00{i}.wav" for i in range(2)),
    ]


def test_a_manifest_on_standard_input(process: Callable[..., Any], tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 1)
    table = f"reference,test,take,metrics\n{ref}/000.wav,{test}/000.wav,7,mae\n"
    running = process("batch", "--manifest", "-", "--format", "jsonl", stdin=subprocess.PIPE)
    out, err = running.communicate(table.encode(), timeout=120)
    assert running.returncode == 0, err
    row = json.loads(out)
    assert (row["spec"], row["columns"]) == ("mae", {"take": "7"})
    assert row["value"] == compare(ref / "000.wav", test / "000.wav", "mae")["mae"].value


def test_shards_together_are_the_whole(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, test = sounds(tmp_path, 8)
    assert cli("batch", ref, test, "-m", "mse", "--shard", "1/2", "-o", "s1.jsonl").code == 0
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "6")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    assert cli("batch", ref, test, "-m", "mse", "--shard", "auto", "-o", "s2.jsonl").code == 0
    assert cli("batch", "--merge", "s1.jsonl", "s2.jsonl", "-o", "all.jsonl").code == 0
    assert sorted(r["id"] for r in read("all.jsonl")) == [f"00{i}.wav" for i in range(8)]
    again = cli("batch", ref, test, "-m", "mse", "-o", "all.jsonl")
    assert "8 of 8 pairs are in all.jsonl already" in again.err
    assert cli("batch", ref, test, "--shard", "3/2").code == ExitCode.USAGE


def started(process: Callable[..., Any], tmp_path: Path, count: int, least: int, *more: object) -> Any:
    """A batch of `count` pairs in the middle of its work, with at least so many rows written."""
    ref, test = sounds(tmp_path, count)
    running = process("batch", ref, test, "-m", "mse", "-m", "snr", "-o", "run.jsonl", *more)
    journal = tmp_path / "run.jsonl"
    deadline = time.monotonic() + 120
    while running.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > least:
            break
        time.sleep(0.002)
    return running


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_in_the_middle_it_goes_on_and_computes_nothing_twice(
    process: Callable[..., Any], cli: Cli, tmp_path: Path
) -> None:
    running = started(process, tmp_path, MANY, 20)
    running.kill()
    running.communicate()
    whole = [line for line in (tmp_path / "run.jsonl").read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert 20 <= len(whole) - 1 < 2 * MANY, "it was to be killed in the middle"
    half = len(whole) // 2 * 2  # the header, some pairs, and the first row of one, half of which is missing
    (tmp_path / "run.jsonl").write_text("".join(whole[:half]) + whole[1][:99])
    known = {slot(r): r for r in map(json.loads, whole[1:half])}
    done = cli("batch", tmp_path / "ref", tmp_path / "test", "-m", "mse", "-m", "snr", "-o", "run.jsonl")
    assert done.code == 0
    rows = rows_of(tmp_path / "run.jsonl")
    again = Counter(slot(r) for r in rows)
    assert len(again) == 2 * MANY
    assert set(again.values()) == {1}
    found = {slot(r): r for r in rows}
    assert all({**found[s], "worst_s": None} == r for s, r in known.items()), "what was there is not computed again"
    assert f"compared {MANY - (len(known) - 1) // 2} pairs" in done.err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupted_it_says_how_to_go_on(process: Callable[..., Any], tmp_path: Path) -> None:
    running = started(process, tmp_path, MANY, 10)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert b"the same command resumes there" in err
    assert b"Traceback" not in err
    assert 10 <= len(list(read(tmp_path / "run.jsonl"))) < 2 * MANY


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for children")
@pytest.mark.parametrize("later", [0.0, 0.1, 0.4])
def test_ctrl_c_in_a_terminal_while_workers_start_is_one_line(
    process: Callable[..., Any], tmp_path: Path, later: float
) -> None:
    """A terminal sends it to all processes of the command, also to those that are about to load their modules."""
    ref, test = sounds(tmp_path, MANY)
    running = process("batch", ref, test, "-m", "mse", "-o", "run.jsonl", start_new_session=True)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while running.poll() is None and not children.read_text():
        time.sleep(0.001)
    time.sleep(later)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_full_disk_loses_nothing_that_was_written(process: Callable[..., Any], cli: Cli, tmp_path: Path) -> None:
    import resource

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    ref, test = sounds(tmp_path, 40)
    running = process("batch", ref, test, "-m", "mse", "-o", "run.jsonl", before=little_room)
    _, err = running.communicate(timeout=120)
    assert running.returncode == ExitCode.USAGE
    assert b"cannot write" in err
    assert b"Traceback" not in err
    kept = [r["id"] for r in read(tmp_path / "run.jsonl")]
    assert 5 < len(kept) < 40
    assert cli("batch", tmp_path / "ref", tmp_path / "test", "-m", "mse", "-o", "run.jsonl").code == 0
    assert Counter(r["id"] for r in read(tmp_path / "run.jsonl")).keys() == {f"{i:03d}.wav" for i in range(40)}


@pytest.mark.skipif(os.name != "posix", reason="file locks")
def test_a_second_batch_on_one_journal_is_refused(process: Callable[..., Any], cli: Cli, tmp_path: Path) -> None:
    running = started(process, tmp_path, MANY, 1)
    done = cli("batch", tmp_path / "ref", tmp_path / "test", "-m", "mse", "-o", "run.jsonl")
    running.kill()
    running.communicate()
    assert done.code == ExitCode.USAGE
    assert "another batch is writing it" in done.err


def test_a_pipe_gets_rows_with_a_journal_too(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 2)
    piped = cli("batch", ref, test, "-m", "mse", "-q").out
    assert piped.startswith("id\tsystem\t")
    assert cli("batch", ref, test, "-m", "mse", "-q", "-o", "run.jsonl").out == piped
    assert cli("batch", ref, test, "-m", "mse", "-q", "-o", "run.jsonl").out == piped
    read = cli("batch", "--from", "run.jsonl", "-q", "-o", "-").out  # in the order in which the pairs were done
    assert sorted(read.splitlines()) == sorted(piped.splitlines())


@pytest.mark.parametrize("form", [*get_args(Format)])
def test_every_format_of_the_help_is_made(cli: Cli, tmp_path: Path, form: str) -> None:
    ref, test = sounds(tmp_path, 1)
    cli("batch", ref, test, "-m", "mse", "-q", "-o", "run.jsonl")
    if form == "parquet":
        pytest.importorskip("pyarrow")
    done = cli("batch", "--from", "run.jsonl", "-q", "--format", form, "-o", "out")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "out").stat().st_size
    dry = cli("batch", ref, test, "-n", "-q", "--format", form)
    assert dry.code == (0 if form in ("table", "tsv", "csv", "json", "jsonl") else ExitCode.USAGE)
    assert "internal" not in dry.err


@pytest.mark.parametrize("output", ["/dev/null", "-", ""])
def test_a_journal_is_a_file(cli: Cli, tmp_path: Path, output: str) -> None:
    ref, test = sounds(tmp_path, 1)
    for argv in (("batch", ref, test, "-m", "mse", "-o", output), ("batch", "--merge", "none.jsonl", "-o", output)):
        if "--merge" in argv:
            cli("batch", ref, test, "-m", "mse", "-q", "-o", "none.jsonl")
        done = cli(*argv)
        assert (done.code, done.out, done.err.count("\n")) == (ExitCode.USAGE, "", 1)
        assert f"-o {output or repr('')}: is " in done.err


def test_names_in_another_unicode_form_are_paired_with_a_note(cli: Cli, tmp_path: Path) -> None:
    """In a folder of tests, in ratings, in a baseline, and from system to system."""
    ref, test = sounds(tmp_path, 1)
    other = tmp_path / "other"
    other.mkdir()
    for folder, name in ((ref, "\u00e9.wav"), (test, "e\u0301.wav"), (other, "\u00e9.wav")):
        (folder / name).write_bytes((test / "000.wav").read_bytes())
    (ref / "000.wav").unlink()
    (test / "000.wav").unlink()
    (tmp_path / "ratings.csv").write_text("id,rating\n\u00e9.wav,4\n", encoding="utf-8")
    argv = "batch", ref, test, other, "-m", "mse", "--format", "json", "--ratings", "ratings.csv"
    done = cli(*argv)
    assert done.code == 0
    assert "1 recording was paired by a name that differs in its Unicode form only" in done.err
    said = json.loads(done.out)
    assert [r["rating"] for r in said["rows"]] == [4.0, 4.0]
    assert [s["difference"] for s in said["summary"]["scores"]] == [None, 0.0]
    cli("batch", ref, test, "-m", "mse", "--baseline", "base.jsonl", "--update-baseline")
    known = cli("batch", ref, other, "-m", "mse", "--baseline", "base.jsonl")
    assert (known.code, "1 same" in known.err) == (0, True)


def test_the_same_file_twice_and_against_itself(cli: Cli, tmp_path: Path) -> None:
    ref, _ = sounds(tmp_path, 2)
    done = cli("batch", ref, ref, "-m", "mse", "--format", "jsonl")
    assert [json.loads(line)["value"] for line in done.out.splitlines()] == [0.0, 0.0]
    (tmp_path / "pairs.csv").write_text("reference,test\n" + "ref/000.wav,test/000.wav\n" * 2)
    done = cli("batch", "--manifest", "pairs.csv", "-m", "mse", "--format", "jsonl")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert "line 3: repeats line 2, and is compared once" in done.err


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("start", [0.0, 30.0])
@pytest.mark.parametrize("lockstep", [True, False])
def test_the_time_left_is_right_from_the_tenth_pair_on(workers: int, start: float, lockstep: bool) -> None:
    """Workers that start late, as those that compile, and then take 2 s a pair."""
    pairs, seconds = 200, 2.0
    apart = 0.0 if lockstep else seconds / workers
    times = sorted(start + apart * (i % workers) + seconds * (1 + i // workers) for i in range(pairs))
    pace = Pace(workers, 0.0)
    for count, now in enumerate(times, 1):
        pace.done(now)
        if count >= 10:
            left = (pairs - count) / pace.rate
            assert abs(left - (times[-1] - now)) <= 0.01 * left + seconds


def test_with_more_workers_than_pairs_so_far_their_first_pairs_count() -> None:
    pace = Pace(64, 0.0)
    for _ in range(10):
        pace.done(2.0)
    assert pace.rate == 32.0


def test_summary_and_exports_read_a_journal_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "run.jsonl"
    assert cli("batch", *sounds(tmp_path, 4), "-m", "snr", "-m", "mae", "-o", journal).code == 0
    opened, parsed = [], []
    of_file, of_line = Path.open, journals._parsed

    def open_noted(self: Path, *given: Any, **options: Any) -> Any:
        opened.append(self.name)
        return of_file(self, *given, **options)

    def parse_noted(line: bytes, name: str, number: int) -> dict[str, Any]:
        parsed.append(number)
        return of_line(line, name, number)

    monkeypatch.setattr(Path, "open", open_noted)
    monkeypatch.setattr(journals, "_parsed", parse_noted)
    exports = [tmp_path / name for name in ("a.json", "a.csv", "a.tsv", "a.jsonl", "a.xml", "a.md", "a.html")]
    wanted = [word for path in exports for word in ("--export", path)]
    assert cli("batch", "--from", journal, "--require", "snr>=-99", *wanted).code == 0
    assert opened.count("run.jsonl") == 1
    assert parsed == list(range(1, 10))  # each line once
    assert all(path.stat().st_size for path in exports)


def test_progress_is_told_where_it_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    ref, test = sounds(tmp_path, 12)
    told = r"^audiosim: 10 of 12 pairs, [\d.]+ pairs/s, \d+:\d\d:\d\d left, worst mse "
    asked = cli("batch", ref, test, "-m", "mse", "--progress", "-q")
    assert re.search(told, asked.err, re.MULTILINE)
    assert "left" not in cli("batch", ref, test, "-m", "mse", "--no-progress").err
