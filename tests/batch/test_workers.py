"""What is still to be done, and workers that do it whatever happens to them."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiosim import compare, compare_sources, domain, load
from audiosim.batch import workers
from audiosim.batch.journal import Journal
from audiosim.batch.pairing import Pair
from audiosim.batch.workers import Job, Processes, Terms, outstanding, run
from audiosim.errors import ExitCode, MetricError
from audiosim.match import Policy
from audiosim.testing.signals import noise

RATE = 8000
TERMS = Terms(specs=("snr", "mse"), policy=Policy())


class Fatal(float):
    """A start that kills whoever computes with it."""

    def __mul__(self, other: object) -> Any:
        ctypes.string_at(0)


class Broken(float):
    """A start that raises what nobody expects."""

    def __mul__(self, other: object) -> Any:
        raise RuntimeError("boom")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for i in range(4):
        x = noise(RATE, 0.1, seed=i)[0]
        soundfile.write(tmp_path / f"r{i}.wav", x, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / f"t{i}.wav", x + 0.1 * noise(RATE, 0.1, seed=9)[0], RATE, subtype="FLOAT")
    return tmp_path


def pairs(files: Path, count: int = 4) -> list[Pair]:
    return [Pair(reference=str(files / f"r{i}.wav"), test=str(files / f"t{i}.wav"), id=f"t{i}") for i in range(count)]


@contextmanager
def journal_of(files: Path, terms: Terms = TERMS) -> Iterator[Journal]:
    with Journal(files / "run.jsonl", terms.settings) as journal:
        yield journal


def work(todo: Sequence[Pair], terms: Terms, journal: Journal, count: int = 2) -> list[Any]:
    with closing(Processes(terms, count)) as pool:
        return [row for rows in run(outstanding(todo, terms, journal), terms, journal, pool) for row in rows]


def asked(jobs: Sequence[Job]) -> dict[str, tuple[str, ...]]:
    return {job.pair.id: job.specs for job in jobs}


@pytest.mark.parametrize("count", [1, 3])
def test_numbers_are_those_of_compare_on_any_number_of_processes(files: Path, count: int) -> None:
    with journal_of(files) as journal:
        rows = work(pairs(files), TERMS, journal, count)
    assert len(rows) == 8
    for row in rows:
        assert row["value"] == compare(row["reference"], row["test"], row["spec"])[row["spec"]].value
        assert (row["status"], row["fault"], row["worst_s"]) == ("ok", None, None)
        assert workers.exit_codes(row) == []


def test_only_what_is_missing_changed_or_failed_is_done(files: Path) -> None:
    todo = pairs(files)
    with journal_of(files) as journal:
        work(todo, TERMS, journal)
        assert outstanding(todo, TERMS, journal) == []
        wider = replace(TERMS, specs=("snr", "mse", "mae"))
        assert asked(outstanding(todo, wider, journal)) == dict.fromkeys(["t0", "t1", "t2", "t3"], ("mae",))
        os.utime(files / "t0.wav", (1, 1))  # the same content at another time
        assert outstanding(todo, TERMS, journal) == []
        shutil.copy(files / "t2.wav", files / "t1.wav")
        (files / "r3.wav").unlink()
        left = outstanding(todo, TERMS, journal)
        assert asked(left) == dict.fromkeys(["t1", "t3"], ("snr", "mse"))
        work(todo, TERMS, journal)
        failed = [row for row in journal.rows() if row["fault"]]
        assert {(r["id"], r["spec"], r["status"], r["value"], r["rate"]) for r in failed} == {
            ("t3", "snr", "error", None, None),
            ("t3", "mse", "error", None, None),
        }
        assert all("no such file" in r["reason"] and workers.exit_codes(r) == [ExitCode.INPUT] for r in failed)
        shutil.copy(files / "t3.wav", files / "r3.wav")
        assert asked(outstanding(todo, TERMS, journal)) == {"t3": ("snr", "mse")}, "failures are tried again"


def test_each_row_stands_in_the_file_once_while_failures_are_tried_again(files: Path) -> None:
    """For any reader, at any time: also if the batch is killed meanwhile."""

    def standing() -> list[tuple[str, str, str]]:
        lines = (files / "run.jsonl").read_text().splitlines()[1:]
        return [(row["id"], row["spec"], row["status"]) for row in map(json.loads, lines)]

    todo = pairs(files)
    hidden = [files / f"t{i}.wav" for i in (1, 2)]
    for path in hidden:
        path.rename(path.with_suffix(".away"))
    with journal_of(files) as journal:
        work(todo, TERMS, journal)
        assert sum(status == "error" for *_, status in standing()) == 4
        hidden[0].with_suffix(".away").rename(hidden[0])
        with closing(Processes(TERMS, 1)) as pool:
            for done, _ in enumerate(run(outstanding(todo, TERMS, journal), TERMS, journal, pool), 1):
                assert len({row[:2] for row in standing()}) == len(standing()) == 4 + 2 * done
        assert sum(status == "error" for *_, status in standing()) == 2


def test_options_versions_and_pieces_are_part_of_the_key(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audiosim.metrics import snr

    (pair,) = pairs(files, 1)
    key = TERMS.key(pair, "snr", "a", "b")
    assert replace(TERMS, require=("mse<1",)).key(pair, "snr", "a", "b") == key
    others = [
        replace(TERMS, policy=Policy(gain="match")).key(pair, "snr", "a", "b"),
        replace(TERMS, times=True).key(pair, "snr", "a", "b"),
        replace(TERMS, require=("snr@100-1000>1",)).key(pair, "snr", "a", "b"),
        TERMS.key(replace(pair, start=0.01), "snr", "a", "b"),
        TERMS.key(pair, "snr:mid_side=true", "a", "b"),
        TERMS.key(pair, "snr", "c", "b"),
    ]
    monkeypatch.setattr(snr, "CARD", replace(snr.CARD, version=snr.CARD.version + 1))
    others.append(replace(TERMS).key(pair, "snr", "a", "b"))
    assert len({key, *others}) == len(others) + 1


def test_changed_models_and_domains_are_noticed(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What values are heard by is part of the key: the file of a network and what lies beside it, and the summary by
    which the guard goes."""
    (pair,) = pairs(files, 1)
    model = tmp_path / "net.onnx"
    specs = [
        f"{name}:model={model}" for name in ("dnsmos", "plcmos", "nisqa", "cdpam", "speaker", "embedding", "visqol")
    ]
    specs.append(f"dpam:model={tmp_path / 'net'}")

    def keys() -> list[str]:
        return [replace(TERMS).key(pair, spec, "a", "b") for spec in specs]

    found = [keys()]
    for name in ("net.onnx", "net.index", "net.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"one")
    found.append(keys())
    (tmp_path / "net.json").write_text("{}")
    assert [spec for spec, a, b in zip(specs, found[-1], keys(), strict=True) if a != b] == [specs[5]]
    for name in ("net.onnx", "net.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"two")
    found.append(keys())
    assert all(len(set(of)) == 3 for of in zip(*found, strict=True))
    os.utime(model, (1, 1))
    assert keys() == found[-1], "the same content"

    specs, rng = ["pesq", "stoi", "snr"], np.random.default_rng(0)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = keys()
    sounds = [domain.recording(noise(16000, 2.0, seed)[0], 16000) for seed in range(20)]
    domain.keep("stoi", domain.fitted(sounds, rng.permutation(20)), "of the test")
    assert [spec for spec, a, b in zip(specs, before, keys(), strict=True) if a != b] == ["stoi"]
    domain.summary.cache_clear()


def test_what_a_manifest_says_anew_is_written_without_computing(files: Path) -> None:
    todo = pairs(files)
    with journal_of(files) as journal:
        work(todo, TERMS, journal)
        rated = [replace(pair, rating=3.0, columns={"item": "x"}) for pair in todo]
        assert outstanding(rated, TERMS, journal) == []
        assert {(r["rating"], r["columns"]["item"]) for r in journal.rows()} == {(3.0, "x")}
        assert len(journal.entries) == 8


def test_metrics_gates_and_pieces_of_a_pair_itself(files: Path) -> None:
    (pair,) = pairs(files, 1)
    own = replace(pair, metrics=("mae",), require=("mae<1e-9", "snr@500-2000>0"), start=0.02, duration=0.05)
    terms = replace(TERMS, require=("mse<1",))
    with journal_of(files) as journal:
        rows = {row["spec"]: row for row in work([own], terms, journal)}
    assert list(rows) == ["mae", "mse", "snr"]
    assert rows["mae"]["duration_s"] == pytest.approx(0.05)
    a, b = (load(p).samples[:, 160:560] for p in (pair.reference, pair.test))
    assert rows["mae"]["value"] == compare(a, b, "mae", RATE)["mae"].value
    assert [(g["require"], g["passed"]) for row in rows.values() for g in row["gates"]] == [
        ("mae<1e-9", False),
        ("mse<1", True),
        ("snr@500-2000>0", True),
    ]
    assert workers.exit_codes(rows["mae"]) == [ExitCode.GATE]


def test_a_piece_that_lies_behind_the_end_is_no_pair(files: Path) -> None:
    (pair,) = pairs(files, 1)
    with journal_of(files) as journal:
        rows = work([replace(pair, start=7.0)], TERMS, journal)
    assert "lasts 0.100 s, but the section starts at 7 s" in rows[0]["reason"]


def test_the_worst_second_is_filled_in_afterwards(files: Path) -> None:
    (pair,) = pairs(files, 1)
    x = noise(RATE, 1.0, seed=1)[0]
    y = x + 1e-3 * noise(RATE, 1.0, seed=2)[0]
    y[6000] += 1
    for name, samples in (("r0.wav", x), ("t0.wav", y)):
        soundfile.write(files / name, samples, RATE, subtype="FLOAT")
    with journal_of(files) as journal:
        before = {row["spec"]: row for row in work([pair], TERMS, journal)}
        with closing(Processes(TERMS, 1)) as pool:
            list(run([Job(pair, ("snr", "mse"), where=True)], TERMS, journal, pool))
        for row in journal.rows():
            assert row["worst_s"] == pytest.approx(0.75, abs=0.05)
            assert {**row, "worst_s": None} == before[row["spec"]]
        assert outstanding([pair], TERMS, journal) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_crash_costs_one_number(files: Path) -> None:
    todo = pairs(files)
    todo[1] = replace(todo[1], start=Fatal(0.01))
    with journal_of(files) as journal:
        rows = work(todo, TERMS, journal)
        assert sorted((r["id"], r["spec"]) for r in rows) == sorted((p.id, s) for p in todo for s in TERMS.specs)
        bad = [r for r in rows if r["fault"]]
        assert {r["id"] for r in bad} == {"t1"}
        assert {r["reason"] for r in bad} == {f"the process that computed it crashed ({signal.SIGSEGV.name})"}
        assert workers.exit_codes(bad[0]) == [ExitCode.METRIC]


def test_workers_that_do_not_start_end_the_batch(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_serve", os._exit)  # is called with a pipe, which is no exit code
    with journal_of(files) as journal, pytest.raises(MetricError, match="do not start"):
        work(pairs(files), TERMS, journal)


def test_what_nobody_expects_costs_one_pair(files: Path) -> None:
    todo = pairs(files)
    todo[2] = replace(todo[2], start=Broken(0.01))
    with journal_of(files) as journal:
        rows = work(todo, TERMS, journal)
    assert {r["id"] for r in rows if r["fault"]} == {"t2"}
    assert {r["reason"] for r in rows if r["fault"]} == {"internal error: RuntimeError: boom; please report it"}


def test_one_unreadable_file_among_many(files: Path) -> None:
    (files / "t1.wav").write_text("no sound")
    with journal_of(files) as journal:
        rows = work(pairs(files), TERMS, journal)
    assert {r["id"] for r in rows if r["fault"] == "input"} == {"t1"}
    assert len(rows) == 8


def test_one_reference_is_decoded_once_for_all_its_tests(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: str, policy: Policy) -> Any:
        read.append(Path(path).name)
        return load_once(path, policy)

    load_once = workers.load
    monkeypatch.setattr(workers, "load", counted)
    todo = [Job(replace(pair, reference=str(files / "r0.wav")), TERMS.specs) for pair in pairs(files)]
    bench = workers.Bench(TERMS)
    for job, following in zip(todo, [*todo[1:], None], strict=True):
        bench.work(job, following)
    assert sorted(read) == ["r0.wav", "t0.wav", "t1.wav", "t2.wav", "t3.wav"]


def test_a_gate_on_a_band_that_a_pair_does_not_have_fails_that_pair(files: Path) -> None:
    terms = replace(TERMS, require=("snr@5000-6000>0",))
    with journal_of(files, terms) as journal:
        rows = work(pairs(files, 1), terms, journal)
    (gate,) = (g for r in rows for g in r["gates"])
    assert not gate["passed"]
    assert "ends at 4000 Hz" in gate["reason"]
    assert np.isfinite(rows[0]["value"])


def test_a_changed_source_is_heard_in_the_others_of_its_mixture(files: Path) -> None:
    terms = replace(TERMS, specs=("bss-eval:output=sir,taps=8,window=0", "snr"))
    first, second = pairs(files, 2)
    todo = [
        replace(first, others=((second.reference, second.test),)),
        replace(second, others=((first.reference, first.test),)),
    ]
    with journal_of(files, terms) as journal:
        rows = work(todo, terms, journal)
        sources = compare_sources([p.reference for p in todo], [p.test for p in todo], terms.specs, in_order=True)
        found = {(row["id"], row["spec"]): row["value"] for row in rows}
        assert found == {
            (p.id, spec): r.value for p, results in zip(todo, sources, strict=True) for spec, r in results.items()
        }
        assert outstanding(todo, terms, journal) == []
        shutil.copy(files / "t3.wav", files / "t1.wav")
        assert asked(outstanding(todo, terms, journal)) == {"t0": terms.specs[:1], "t1": terms.specs}
