"""JUnit XML: that it keeps the schema, counts right, and survives any name."""

from __future__ import annotations

import re
from math import nan
from xml.etree import ElementTree

from audiosim.cli.junit import to_junit
from audiosim.judge import gates
from tests.batches import row

WHEN = {"timestamp": "2026-01-02T03:04:05", "hostname": "here"}
# Jenkins' junit-10.xsd: what each element may hold, in this order, and its attributes; those with a star it must have.
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "testcase": ["skipped", "error", "failure", "system-out", "system-err"],
}
ATTRIBUTES = {
    "testsuites": "name time tests failures errors",
    "testsuite": "name* tests* failures* errors* group time skipped timestamp hostname id package file log url version",
    "testcase": "name* time classname group",
    **dict.fromkeys(("skipped", "error", "failure"), "type message"),
}
TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?")


def check(element):
    """A failure where the element, or one inside it, is not as the schema says."""
    known = ATTRIBUTES.get(element.tag, "").split()
    assert set(element.attrib) <= {k.rstrip("*") for k in known}, element.tag
    assert {k.rstrip("*") for k in known if k.endswith("*")} <= set(element.attrib), element.tag
    assert TIME.fullmatch(element.attrib.get("time", ""))
    order = CHILDREN.get(element.tag, [])
    places = [order.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        check(child)


def read(text):
    root = ElementTree.fromstring(text)
    check(root)
    cases = root.findall("testsuite/testcase")
    assert int(root.get("tests")) == len(cases)
    for parent, tag in (("failures", "failure"), ("errors", "error")):
        assert int(root.get(parent)) == len(root.findall(f"testsuite/testcase/{tag}"))
    for suite in root:
        found = {"tests": len(suite.findall("testcase")), "failures": len(suite.findall("testcase/failure"))}
        found |= {"errors": len(suite.findall("testcase/error")), "skipped": len(suite.findall("testcase/skipped"))}
        assert {k: int(suite.get(k)) for k in found} == found
    return root


def gate(text, value, passed=False, missed_by=0.25, reason=None):
    spec = gates.parse(text).spec
    return {
        "require": text, "spec": spec, "value": value, "passed": passed, "missed_by": missed_by, "reason": reason
    }  # fmt: skip


def outcome(case):
    return next((child.tag for child in case if child.tag != "system-out"), "passed")


def test_a_case_for_each_gate_or_metric_of_each_pair():
    rows = [
        row("a.wav", "mr-stft", 1.25, gates=[gate("mr-stft<=1", 1.25), gate("mr-stft<=2", 1.25, True, 0.0)]),
        row("a.wav", "si-sdr", 20.0, worst_s=0.5, columns={"codec": "opus"}),
        row("b.wav", "mr-stft", status="error", gates=[gate("mr-stft<=1", None, False, None, "error: broken")]),
        row("b.wav", "si-sdr", status="undefined"),
        row("c.wav", "mr-stft", status="undefined", gates=[gate("mr-stft<=1", None, False, None, "undefined: silent")]),
    ]
    root = read(to_junit(rows, seconds=1.23456, **WHEN))
    cases = root.findall("testsuite/testcase")
    assert [(c.get("classname"), c.get("name"), outcome(c)) for c in cases] == [
        ("a.wav", "mr-stft<=1", "failure"),
        ("a.wav", "mr-stft<=2", "passed"),
        ("a.wav", "si-sdr", "passed"),
        ("b.wav", "mr-stft<=1", "error"),
        ("b.wav", "si-sdr", "skipped"),
        ("c.wav", "mr-stft<=1", "failure"),
    ]
    assert cases[0].find("failure").get("message") == "1.25, missed by 0.25"
    assert cases[3].find("error").text == "made up as error"
    assert cases[5].find("failure").get("message") == "undefined: silent"
    facts = dict(line.split("=", 1) for line in cases[2].find("system-out").text.splitlines())
    files = {"reference": "ref/a.wav", "test": "test/a.wav"}
    assert facts == {"si-sdr": "20.0", "unit": "dB", **files, "worst_s": "0.5", "codec": "opus"}
    assert root.find("testsuite").get("timestamp") == WHEN["timestamp"]
    assert root.get("time") == "1.235"


def test_systems_gates_over_the_batch_and_the_baseline_have_suites():
    rows = [row("a", value=v, system=s) for s, v in (("one", 0.5), ("two", 0.9))]
    verdicts = gates.judge_batch([gates.parse("mean(mr-stft)<=0.8", batch=True)], rows)
    changes = list(gates.compare_with_baseline(rows, [row("a", value=0.5, system=s) for s in ("one", "two")]))
    root = read(to_junit(rows, verdicts, changes, **WHEN))
    assert [s.get("name") for s in root] == ["audiosim one", "audiosim two", "audiosim gates", "audiosim baseline"]
    held, failed = root[2]
    assert (outcome(held), outcome(failed)) == ("passed", "failure")
    assert failed.get("name") == "mean(mr-stft)<=0.8 two"
    assert [(c.get("classname"), outcome(c)) for c in root[3]] == [("a of one", "passed"), ("a of two", "failure")]
    assert root[3][1].find("failure").get("message") == "0.5 is now 0.9, worse by 0.4"


def test_any_name_survives():
    names = ["</testsuite>", "\"&<>]]>'", "tab\tline\nnul\0", "\x1b[31mred", "bad\udcff", "ünï☃𝄞", "\ufffe", "=1+1"]
    rows = [row(n, status="error", reason=f"cannot read {n}", columns={n: n}) for n in names]
    text = to_junit(rows, **WHEN)
    text.encode()
    root = read(text)
    assert len(root.findall("testsuite/testcase")) == len(names)
    assert root[0][5].get("classname") == "ünï☃𝄞"
    assert root[0][0].find("error").text == "cannot read </testsuite>"


def test_nothing_to_tell_is_valid_too():
    assert len(read(to_junit([], **WHEN))) == 0
    read(to_junit([row("a", value=nan, status="undefined")], seconds=12345.6789, **WHEN))
