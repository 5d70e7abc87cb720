"""Folders and manifests become pairs, in a stable order, and nothing is dropped unsaid."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from audiosim.batch.pairing import Pair, folders, manifest, shard
from audiosim.errors import InputError, NothingToCompare, UsageError
from audiosim.judge.rows import composed


def tree(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    root.mkdir(exist_ok=True)
    return str(root)


def names(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(Path(p.reference).name, Path(p.test).name) for p in pairs]


def test_same_path_whatever_the_suffix(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav", "sub/b.wav", "notes.txt", ".hidden.wav")
    test = tree(tmp_path / "test", "a.mp3", "sub/b.flac", "b.wav")
    found = folders(ref, [test])
    assert names(found.pairs) == [("a.wav", "a.mp3"), ("b.wav", "b.flac")]
    assert [p.id for p in found.pairs] == ["a.mp3", "sub/b.flac"]
    assert {p.system for p in found.pairs} == {None}
    assert found.unpaired == [f"{test}/b.wav has no reference below {ref}"]


def test_a_reference_without_a_test_is_said(tmp_path: Path) -> None:
    ref, test = tree(tmp_path / "ref", "a.wav", "b.wav"), tree(tmp_path / "test", "a.wav")
    assert folders(ref, [test]).unpaired == [f"{ref}/b.wav has no test below {test}"]


def test_systems_of_other_formats_have_the_same_items(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav", "b.wav")
    tests = [tree(tmp_path / "mp3", "a.mp3", "b.mp3"), tree(tmp_path / "opus", "a.opus", "b.opus")]
    found = folders(ref, tests).pairs
    assert [(p.id, p.system) for p in found] == [(i, s) for s in ("mp3", "opus") for i in ("a.wav", "b.wav")]
    assert [p.id for p in folders(ref, tests[:1]).pairs] == ["a.mp3", "b.mp3"]


def test_several_folders_are_systems_called_as_the_folders(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav")
    one, two = tree(tmp_path / "x" / "out", "a.wav"), tree(tmp_path / "y" / "out", "a.wav")
    assert [p.system for p in folders(ref, [one, two]).pairs] == ["x/out", "y/out"]
    with pytest.raises(UsageError, match="twice"):
        folders(ref, [one, one + "/"])


def test_two_versions_side_by_side_go_with_their_own_suffix(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav", "a.flac")
    assert names(folders(ref, [tree(tmp_path / "test", "a.wav", "a.flac")]).pairs) == [
        ("a.flac", "a.flac"),
        ("a.wav", "a.wav"),
    ]
    with pytest.raises(InputError, match="has two references"):
        folders(ref, [tree(tmp_path / "other", "a.mp3")])
    with pytest.raises(InputError, match="has two tests"):
        folders(tree(tmp_path / "one", "a.aiff"), [tree(tmp_path / "both", "a.mp3", "a.ogg")])


def test_the_other_rules(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "s1/a.wav", "s2/b.wav")
    test = tree(tmp_path / "test", "b_est.wav", "a_est.wav")
    assert names(folders(ref, [test], "order").pairs) == [("a.wav", "a_est.wav"), ("b.wav", "b_est.wav")]
    assert names(folders(ref, [test], r"regex:([ab])(?:_est)?\.wav$").pairs) == [
        ("a.wav", "a_est.wav"),
        ("b.wav", "b_est.wav"),
    ]
    flat = tree(tmp_path / "flat", "b.mp3", "a.mp3")
    assert names(folders(ref, [flat], "stem").pairs) == [("a.wav", "a.mp3"), ("b.wav", "b.mp3")]
    with pytest.raises(InputError, match="as many"):
        folders(ref, [tree(tmp_path / "less", "a.wav")], "order")
    for rule in ("regex:(", "names"):
        with pytest.raises(UsageError, match="--pair"):
            folders(ref, [test], rule)


def test_include_and_exclude(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav", "a.raw", "sub/c.wav")
    assert names(folders(ref, [ref], include=["*.raw"]).pairs) == [("a.raw", "a.raw")]
    assert names(folders(ref, [ref], exclude=["sub/*"]).pairs) == [("a.wav", "a.wav")]


def test_folders_that_are_none(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "a.wav")
    with pytest.raises(InputError, match="no such folder"):
        folders(ref, [str(tmp_path / "nowhere")])
    with pytest.raises(InputError, match="compare takes files"):
        folders(ref, [f"{ref}/a.wav"])
    with pytest.raises(NothingToCompare, match="has a partner"):
        folders(ref, [tree(tmp_path / "empty")])


SHORT, LONG = "caf\u00e9", "cafe\u0301"  # composed, as Linux and git write it; decomposed, as macOS archives do


@pytest.mark.parametrize(("ref", "test"), [(SHORT, LONG), (LONG, SHORT)])
@pytest.mark.parametrize("rule", ["relpath", "stem", "order", f"regex:{SHORT}", f"regex:{LONG}", "regex:(.*)[.]"])
def test_names_pair_whatever_their_unicode_form(tmp_path: Path, ref: str, test: str, rule: str) -> None:
    """Even where both folders have a name that sorts between the two forms."""
    tree(tmp_path, f"r/{ref}.wav", f"t/{test}.flac")
    if not rule.startswith(f"regex:{SHORT[:3]}"):
        tree(tmp_path, "r/caff.wav", "t/caff.wav")
    found = folders(f"{tmp_path}/r", [f"{tmp_path}/t"], rule)
    assert (f"{tmp_path}/r/{ref}.wav", f"{tmp_path}/t/{test}.flac") in {(p.reference, p.test) for p in found.pairs}
    assert all(composed(Path(p.reference).stem) == composed(Path(p.test).stem) for p in found.pairs)
    assert found.unpaired == []
    if rule != "order":  # where names say nothing
        (note,) = found.notes
        assert "1 recording was paired by a name that differs in its Unicode form only" in note
    assert [p.id for p in folders(f"{tmp_path}/r", [f"{tmp_path}/t"], include=[f"{ref}*"]).pairs] == [f"{test}.flac"]


def test_each_unicode_form_goes_with_its_own(tmp_path: Path) -> None:
    tree(tmp_path, f"r/{SHORT}.wav", f"r/{LONG}.wav", f"t/{SHORT}.wav", f"t/{LONG}.wav", f"u/{LONG}.wav")
    found = folders(f"{tmp_path}/r", [f"{tmp_path}/t"])
    assert [Path(p.reference).name == Path(p.test).name for p in found.pairs] == [True, True]
    assert (found.unpaired, found.notes) == ([], [])


def test_a_name_whose_like_is_taken_is_told_from_it(tmp_path: Path) -> None:
    tree(tmp_path, f"r/{SHORT}.wav", f"t/{SHORT}.wav", f"t/{LONG}.wav")
    found = folders(f"{tmp_path}/r", [f"{tmp_path}/t"])
    assert [p.id for p in found.pairs] == [f"{SHORT}.wav"]
    (line,) = found.unpaired
    assert "has no reference" in line
    assert "caf\\xe9.wav differs in its Unicode form only, but belongs to caf\\xe9.wav" in line


def test_a_table_may_name_files_in_another_unicode_form(tmp_path: Path) -> None:
    tree(tmp_path, f"{LONG}/{SHORT}.wav", f"{LONG}/{LONG}2.wav")
    (tmp_path / "pairs.csv").write_text(
        f"reference,test\n{SHORT}/{LONG}.wav,{SHORT}/{SHORT}2.wav\n{SHORT}/no.wav,no.wav\n", encoding="utf-8"
    )
    found = manifest(f"{tmp_path}/pairs.csv")
    first, second = found.pairs
    assert (first.reference, first.test) == (f"{tmp_path}/{LONG}/{SHORT}.wav", f"{tmp_path}/{LONG}/{LONG}2.wav")
    assert first.id == f"{SHORT}/{SHORT}2.wav"
    assert second.reference == f"{tmp_path}/{SHORT}/no.wav"
    (note,) = found.notes
    assert "2 recordings were found by a name that differs in its Unicode form only" in note


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")
def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    ref = tree(tmp_path / "ref", "sub/a.wav")
    (tmp_path / "ref" / "sub" / "loop").symlink_to(tmp_path / "ref", target_is_directory=True)
    assert [p.id for p in folders(ref, [ref]).pairs] == ["sub/a.wav"]


def test_a_table_names_pairs_and_carries_the_rest(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(
        "set,ref,test,score,higher_is_better,metrics,require,start,duration,codec\n"
        'speech,a.wav,/abs/b.wav,55.5,1,snr log-mel:bands=64,"snr>=3; mse<1",0.5,2,"opus, 6 kb/s"\n'
        "speech,a.wav,c.wav,,,,,,,\n"
    )
    first, second = manifest(str(table)).pairs
    assert (first.reference, first.test) == (str(tmp_path / "a.wav"), "/abs/b.wav")
    assert (first.id, first.group, first.rating, first.higher_is_better) == ("/abs/b.wav", "speech", 55.5, True)
    assert (first.metrics, first.require) == (("snr", "log-mel:bands=64"), ("snr>=3", "mse<1"))
    assert (first.start, first.duration, first.columns) == (0.5, 2.0, {"codec": "opus, 6 kb/s"})
    assert (second.id, second.rating, second.metrics, second.columns) == ("c.wav", None, (), {"codec": ""})


def test_tables_of_other_kinds(tmp_path: Path) -> None:
    rows = [{"reference": "a.wav", "test": "b.wav", "metrics": ["snr"], "take": 3}]
    lines = "\n".join(json.dumps(r) for r in rows)
    (pair,) = manifest("-", io.StringIO(lines)).pairs
    assert (pair.reference, pair.metrics, pair.columns) == ("a.wav", ("snr",), {"take": "3"})
    for separator in "\t;":
        (pair,) = manifest("-", io.StringIO(f"reference{separator}test\na.wav{separator}b.wav\n")).pairs
        assert pair.test == "b.wav"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reference,test\na.wav\n", "line 2: has 1 cells, the header has 2"),
        ("reference,test\na.wav,\n", "line 2: has no test"),
        ("file,test\na.wav,b.wav\n", "has no reference"),
        ("reference,test,rating\na,b,good\n", "rating is 'good'"),
        ("reference,test,start\na,b,-1\n", "start is '-1'"),
        ("reference,test,higher_is_better\na,b,maybe\n", "higher_is_better is 1 or 0"),
        ("reference,test,test\na,b,c\n", "two columns have the same name"),
        ("reference,test,id\na,b,x\nc,d,x\n", "line 3: line 2 has the id 'x' too"),
        ("reference,test,rating\na,b,1\na,b,2\n", "line 3: line 2 has the id 'b' too"),
        ('{"reference": "a", "test": "b"}\n[]\n', "line 2: is not a JSON object"),
    ],
)
def test_a_wrong_table_is_told_by_its_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match="stdin") as problem:
        manifest("-", io.StringIO(text))
    assert said in str(problem.value)


def test_an_empty_table_and_one_that_repeats_itself(tmp_path: Path) -> None:
    with pytest.raises(NothingToCompare, match="names no pair"):
        manifest("-", io.StringIO("reference,test\n"))
    with pytest.raises(InputError, match="cannot be read"):
        manifest(str(tmp_path / "none.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        manifest(str(tmp_path / "binary.csv"))
    found = manifest("-", io.StringIO("reference,test\na,b\na,b\n"))
    assert len(found.pairs) == 1
    assert found.unpaired == ["stdin, line 3: repeats line 2, and is compared once"]


def test_a_test_that_comes_several_times_is_called_by_more_than_its_file() -> None:
    lines = ["a,b,g,", "c,b,g,", "c,b,h,", "c,e,g,1", "c,e,g,2", "x,y,g,"]
    pairs = manifest("-", io.StringIO("reference,test,set,start\n" + "\n".join(lines))).pairs
    assert [p.id for p in pairs] == ["b a", "b c g", "b c h", "e c g 1", "e c g 2", "y"]
    turned = manifest("-", io.StringIO("reference,test,set,start\n" + "\n".join(lines[::-1]))).pairs
    assert [p.id for p in turned] == [p.id for p in pairs][::-1]
    two = manifest("-", io.StringIO("reference,test,system\na,b,one\na,b,two\n")).pairs
    assert [(p.id, p.system) for p in two] == [("b", "one"), ("b", "two")]


def test_shards_are_a_partition_in_any_order() -> None:
    pairs = [Pair(reference="r", test=f"{i}", id=f"{i}") for i in range(100)]
    parts = [shard(pairs, i + 1, 3) for i in range(3)]
    assert sorted(p.id for part in parts for p in part) == sorted(p.id for p in pairs)
    assert all(20 < len(part) < 50 for part in parts)
    assert {p.id for p in shard(pairs[::-1], 2, 3)} == {p.id for p in parts[1]}


def test_stems_of_one_folder_stand_beside_each_other(tmp_path: Path) -> None:
    ref, test = (tree(tmp_path / x, "one/a.wav", "one/b.wav", "two/a.wav") for x in ("ref", "test"))
    a, b, other = folders(ref, [test], stems=True).pairs
    assert a.others == ((b.reference, b.test),)
    assert b.others == ((a.reference, a.test),)
    assert other.others == ()
    assert all(pair.others == () for pair in folders(ref, [test]).pairs)


def test_a_table_says_which_sources_are_of_one_mixture() -> None:
    text = "reference,test,system,mixture\na,x,s,1\nb,y,s,1\na,z,t,1\nc,w,s,\nd,v,s,\n"
    found = manifest("-", io.StringIO(text)).pairs
    assert [pair.others for pair in found] == [(("b", "y"),), (("a", "x"),), (), (), ()]
    assert all("mixture" not in pair.columns for pair in found)
