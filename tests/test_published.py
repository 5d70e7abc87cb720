"""schema.json against what the commands really write: numbers and none, infinities, errors, profiles, maps, gates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import soundfile

import audiosim
from audiosim import compare, diagnosis
from audiosim.diagnosis import Diagnosis, Finding, NullTest, Place
from audiosim.errors import UsageError
from audiosim.judge.assembly import pair_row
from audiosim.judge.rows import SCHEMA, flat, strict
from audiosim.judge.verdict import LEVELS, Verdict
from audiosim.published import Kind, schema
from audiosim.testing.signals import COMPILED, noise
from tests.conftest import Done

jsonschema = pytest.importorskip("jsonschema")

RATE = 16000
SECONDS = 0.5 if COMPILED else 0.2
OPEN = {"match", "settings", "options", "detail", "summary", "agreement", "score"}  # may hold more than they name
PARTS = {"compared", "judged", "result"}  # closed by what they are part of


def closed(kind: Kind) -> Any:
    """The schema of one kind, in which nothing may stand that it does not name: that much is true of this version."""

    def shut(name: str, node: Any) -> Any:
        if isinstance(node, list):
            return [shut("", item) for item in node]
        if not isinstance(node, dict):
            return node
        shape = {key: shut(key, value) for key, value in node.items()}
        is_object = "properties" in node and name not in {*OPEN, *PARTS, "if", "then", "else"}
        if is_object and "additionalProperties" not in node:
            shape["unevaluatedProperties"] = False
        return shape

    one = schema(kind)
    one["$defs"] = {name: shut(name, node) for name, node in one["$defs"].items()}
    return one


VALIDATORS = {
    kind: [jsonschema.Draft202012Validator(s) for s in (schema(kind), closed(kind))] for kind in get_args(Kind)
}
WHOLE = jsonschema.Draft202012Validator(schema())


def valid(kind: Kind, document: Any) -> None:
    for validator in (*VALIDATORS[kind], WHOLE):
        validator.validate(document)


def invalid(kind: Kind, document: Any) -> None:
    assert not VALIDATORS[kind][0].is_valid(document)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two folders of four files: noisy, silent, with a silent channel, and one that is no sound."""
    ref, other = noise(RATE, SECONDS, 1, 2), noise(RATE, SECONDS, 2, 2)
    tests = {"a": ref + 0.1 * other, "b": 0 * ref, "c": ref * [[1], [0]], "d": None}
    for folder in ("ref", "test"):
        (tmp_path / folder).mkdir()
        for name, test in tests.items():
            samples = ref if folder == "ref" else test
            if samples is None:
                (tmp_path / folder / f"{name}.wav").write_text("no sound")
            else:
                soundfile.write(tmp_path / folder / f"{name}.wav", samples.T, RATE, "FLOAT")
    return tmp_path


ASKED = ["-m", "snr", "-m", "sdr:taps=8", "-m", "log-mel:bands=20", "-m", "lufs", "--require", "log-mel:bands=20<1"]


def test_it_is_a_schema_of_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"].endswith("/draft/2020-12/schema")
    assert schema()["$defs"]["version"] == {"const": SCHEMA}
    assert {ref["$ref"] for ref in schema()["oneOf"]} == {f"#/$defs/{kind}" for kind in get_args(Kind)}
    assert audiosim.schema is schema
    changed = schema("row")
    changed.clear()
    assert schema("row")
    with pytest.raises(UsageError, match="there is no schema of 'rows'; one of: pair, pairs, row"):
        schema("rows")  # type: ignore[arg-type]


def test_its_words_are_those_of_the_program() -> None:
    parts = schema()["$defs"]
    assert parts["cause"]["enum"] == list(diagnosis.CAUSES)
    assert parts["verdict"]["properties"]["level"]["enum"] == [*LEVELS, None]


@pytest.mark.parametrize("flags", [[], ["--bands", "--times"], ["--bins"], ["--align", "auto", "--level", "60"]])
def test_what_compare_writes(cli: Callable[..., Done], sounds: Path, flags: list[str]) -> None:
    tests = [sounds / "test" / f"{name}.wav" for name in "abcd"]
    for paths in (tests, tests[:1]):
        done = cli("compare", sounds / "ref/a.wav", *paths, *ASKED, *flags, "--format", "json", "-q")
        document = json.loads(done.out)
        valid("pairs" if len(paths) > 1 else "pair", document)
    lines = cli("compare", sounds / "ref/a.wav", *tests, *ASKED, *flags, "--format", "jsonl", "-q").out.splitlines()
    assert len(lines) == 4 * 4
    statuses = set()
    for line in lines:
        row = json.loads(line)
        valid("row", row)
        statuses.add(row["status"])
    assert statuses >= {"ok", "error", "infinite"}


def test_what_batch_writes(cli: Callable[..., Done], sounds: Path) -> None:
    ratings = sounds / "ratings.csv"
    ratings.write_text("id,rating\na.wav,4\nb.wav,1\nc.wav,2\n")
    call = ["batch", sounds / "ref", sounds / "test", *ASKED, "-o", "run.jsonl", "-q", "--bands"]
    whole = ["--require", "mean(log-mel:bands=20)<1", "--ratings", ratings, "--export", "all.json"]
    cli(*call, *whole, "--baseline", "base.jsonl", "--update-baseline")
    cli(*call, "--require", "mean(log-mel:bands=20)<1", "--baseline", "base.jsonl", "--export", "all.json")
    document = json.loads((sounds / "all.json").read_text())
    assert document["baseline"]
    assert document["verdicts"]
    valid("batch", document)
    for journal in ("run.jsonl", "base.jsonl"):
        header, *rows = map(json.loads, (sounds / journal).read_text().splitlines())
        valid("journal_header", header)
        assert len(rows) == 16
        for row in rows:
            valid("batch_row", row)
    exported = cli("batch", "--from", "run.jsonl", "--format", "jsonl", "-q").out.splitlines()
    for line in exported:
        valid("batch_row", json.loads(line))


def test_a_manifest_is_carried_through(cli: Callable[..., Done], sounds: Path) -> None:
    manifest = sounds / "pairs.csv"
    manifest.write_text(
        "reference,test,id,group,system,rating,higher_is_better,start,duration,bitrate\n"
        "ref/a.wav,test/a.wav,one,speech,codec,3.5,true,0.05,0.1,64k\n"
    )
    done = cli("batch", "--manifest", manifest, "-m", "mse", "--format", "jsonl", "-q")
    row = json.loads(done.out)
    assert row["columns"] == {"bitrate": "64k"}
    valid("batch_row", row)


def test_what_audit_writes(cli: Callable[..., Done]) -> None:
    rules = ["--require", "monotony>=0.9", "--require", "contradicted<=0"]
    done = cli("audit", "mae", *rules, "--format", "json", "-q")
    document = json.loads(done.out)
    valid("audit", document)
    invalid("audit", {**document, "findings": [{"name": "identity"}]})
    valid("audits", [document, document])


def test_maps_and_metrics_from_outside_too() -> None:
    ref, test = noise(RATE, SECONDS, 1, 2), noise(RATE, SECONDS, 3, 2)
    done = compare(ref, test, ["log-mel:bands=20", "snr"], RATE, detail="map")
    assert done["snr"].map is not None
    valid("pair", done.to_dict())
    row = flat([done.to_dict()])[0]
    valid("row", row | {"metric_version": "1-0123456789abcdef"})


FOUND = Diagnosis(
    (
        Finding("delay", 23.0, "ms", confidence=0.9, share=0.5),
        Finding("click", None, "", (Place(0.1, 0.2, 0.1, 0.2), Place(0.3, 0.4, 0.3, 0.4, 2, 100.0, 2e3)), 5),
    ),
    NullTest(100, 5, 3, 0.003, -20.0, -30.0, 3.5),
    -12.5,
)
NOTHING = Diagnosis((), NullTest(100, 0, None, None, None, None, None), None)


@pytest.mark.parametrize("found", [FOUND, NOTHING, Diagnosis((), None, None), None])
@pytest.mark.parametrize("level", [*LEVELS, None])
def test_verdict_and_diagnosis(found: Diagnosis | None, level: Any) -> None:
    answer = Verdict(level, ("a reason",), "a sentence")
    row = pair_row("a", "b", {}, rate=RATE, channels=1, duration_s=1.0, verdict=answer, diagnosis=found)
    valid("pair", json.loads(json.dumps(strict(row))))
    valid("pair", json.loads(json.dumps(strict({**row, "verdict": None}))))


def test_diagnosed_batches(cli: Callable[..., Done], sounds: Path) -> None:
    row = json.loads(
        cli("batch", sounds / "ref", sounds / "test", "-m", "mse", "--format", "jsonl").out.splitlines()[0]
    )
    cause = {"cause": "delay", "size": 23.0, "unit": "ms", "sentence": "The test is 23 ms late."}
    for causes in ([], [cause], None):
        valid("batch_row", row | {"causes": causes})
    invalid("batch_row", row | {"causes": [{**cause, "cause": "magic"}]})


def wrong() -> Iterator[tuple[str, Any]]:
    """What no row may be."""
    yield "value without a number", {"value": None}
    yield "undefined with a value", {"status": "undefined", "reason": "silent"}
    yield "undefined without a reason", {"status": "undefined", "value": None}
    yield "infinite without its sign", {"status": "infinite", "value": None, "reason": "identical"}
    yield "another status", {"status": "fine"}
    yield "another version", {"schema": 2}
    yield "no unit", {"unit": ""}
    yield "a number as text", {"value": "3"}
    yield "a rate of zero", {"rate": 0}
    yield "a gate without an answer", {"gates": [{"require": "mse<1", "spec": "mse"}]}
    yield (
        "a verdict of another level",
        {"verdict": {"level": "good", "reasons": [], "rule_version": 1, "sentence": "Good."}},
    )


@pytest.mark.parametrize(("what", "change"), list(wrong()))
def test_what_is_wrong_does_not_pass(what: str, change: Any) -> None:
    ref = noise(RATE, 0.1, 1)
    row = flat([compare(ref, 0.9 * ref, "mse", RATE).to_dict()])[0]
    valid("row", row)
    invalid("row", {**row, **change})
    for name in ("spec", "value", "status", "reference"):
        invalid("row", {key: value for key, value in row.items() if key != name})


def test_fields_may_be_added() -> None:
    """A later version may say more; who reads this one's schema is not disturbed."""
    ref = noise(RATE, 0.1, 1)
    row = flat([compare(ref, ref, "mse", RATE).to_dict()])[0]
    assert VALIDATORS["row"][0].is_valid({**row, "mood": "good"})
    assert not VALIDATORS["row"][1].is_valid({**row, "mood": "good"})
