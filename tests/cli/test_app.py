"""What can be typed: help, completion, wrong usage, and what none of these may import."""

from __future__ import annotations

import pytest

HEAVY = ("numpy", "scipy", "numba", "torch", "soundfile", "soxr", "pydantic", "rich")


def one_line(err: str) -> str:
    assert err.startswith("audiosim: error: ")
    assert err.count("\n") == 1
    return err


def loaded_after(process, *argv, env=None):
    script = (
        "import sys, atexit; from audiosim.cli import run\n"
        f"atexit.register(lambda: print('loaded', *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr))\n"
        f"code = run({list(argv)!r})"
    )
    out, err = process(python=("-c", script), env=env or {}).communicate(timeout=60)
    return out.decode(), err.decode().split("loaded")[-1].split()


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["compare", "--help"], ["explain", "-h"], ["--version"]])
def test_help_imports_nothing_heavy(process, argv):
    out, loaded = loaded_after(process, *argv)
    assert "audiosim" in out
    assert loaded == []


def test_the_help_of_compare_says_what_values_mean(process):
    out, _ = process("compare", "--help").communicate(timeout=60)
    assert b"up to 0.42: hardly audible" in out


def test_completion_imports_nothing_heavy(process):
    words = {"_AUDIOSIM_COMPLETE": "complete_bash", "COMP_WORDS": "audiosim compare -m s", "COMP_CWORD": "3"}
    out, loaded = loaded_after(process, env=words)
    assert {"sdr", "si-sdr", "snr"} <= set(out.split())
    assert loaded == []


def test_a_word_of_a_choice_is_completed(process):
    words = {"_AUDIOSIM_COMPLETE": "complete_bash", "COMP_WORDS": "audiosim compare --format js", "COMP_CWORD": "3"}
    out, _ = loaded_after(process, env=words)
    assert out.split() == ["json", "jsonl"]


def test_presets_are_completed_those_of_the_configuration_too(process, tmp_path):
    (tmp_path / "audiosim.toml").write_text('[presets]\nspatial = ["snr"]\n')
    words = {"_AUDIOSIM_COMPLETE": "complete_bash", "COMP_WORDS": "audiosim compare --preset sp", "COMP_CWORD": "3"}
    out, loaded = loaded_after(process, env=words)
    assert out.split() == ["speech", "spatial"]
    assert loaded == []


def test_the_catalogue_and_a_tsv_import_no_more_than_they_need(process):
    _, loaded = loaded_after(process, "explain")
    assert set(loaded) <= {"numpy"}


def test_a_piped_comparison_needs_neither_rich_nor_pydantic(process, sounds):
    _, loaded = loaded_after(process, "compare", str(sounds / "ref.wav"), str(sounds / "near.wav"), "-m", "mse")
    assert not {"rich", "pydantic", "torch"} & set(loaded)


def test_version(cli):
    from audiosim import __version__

    done = cli("--version")
    assert (done.code, done.out) == (0, f"audiosim {__version__}\n")


def test_no_arguments_show_the_help_and_are_wrong_usage(cli):
    done = cli()
    assert done.code == 2
    assert done.out == ""
    assert "compare" in done.err


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["cmpare"], "Did you mean 'compare'"),
        (["compare"], "REF"),
        (["compare", "a.wav"], "TEST"),
        (["compare", "a.wav", "b.wav", "--fromat", "json"], "--format"),
        (["compare", "a.wav", "b.wav", "--format", "jsno"], "did you mean 'json'?"),
        (["compare", "a.wav", "b.wav", "--length", "cut"], "auto, error, trim, pad, keep"),
        (["compare", "a.wav", "b.wav", "-m", "si-sdrr"], "did you mean 'si-sdr'?"),
        (["compare", "a.wav", "b.wav", "-m", "mse:weigthing=hp"], "did you mean 'weighting'?"),
        (["compare", "a.wav", "b.wav", "-m", "mse:weighting=hq"], "did you mean 'hp'?"),
        (["compare", "a.wav", "b.wav", "--preset", "defualt"], "did you mean 'default'?"),
        (["compare", "a.wav", "b.wav", "--require", "si-sdr=20"], "si-sdr>=20"),
        (["compare", "a.wav", "b.wav", "-j", "0"], "at least 1"),
        (["compare", "a.wav", "b.wav", "-j", "many"], "at least 1"),
        (["compare", "a.wav", "b.wav", "--map"], "--format json"),
        (["compare", "a.wav", "b.wav", "--format", "value", "--bands"], "tsv, csv or json"),
        (["compare", "a.wav", "b.wav", "--json", "--format", "csv"], "--json or --format csv"),
        (["batch", "a", "b", "--format", "markdown", "--json"], "--json or --format markdown"),
        (["explain", "--json", "--format", "tsv"], "--json or --format tsv"),
        (["compare", "a.wav", "b.wav", "--preset", "codecs"], "did you mean 'codec'?"),
        (["warm", "--preset", "speach"], "did you mean 'speech'?"),
        (["compare", "a.wav", "b.wav", "--require", "estoi>=0.8"], "did you mean 'stoi:extended=true'?"),
        (["compare", "a.wav", "b.wav", "-m", "polqa"], "licensed"),
        (["explain", "lpips"], "pictures"),
        (["compare", "-", "-"], "only once"),
        (["compare", "a.wav", "-", "-"], "only once"),
        (["compare", "a.wav", "b.wav", "-o", "nowhere/x.json"], "no directory"),
        (["compare", "a.wav", "b.wav", "-o", "."], "is a directory"),
        (["explain", "si-sdrr"], "did you mean 'si-sdr'?"),
        (["explain", "mse", "a.wav"], "both recordings"),
        (["explain", "mse", "-", "-"], "only once"),
        (["explain", "--format", "value"], "is not for this command; one of: table, tsv, csv, json, jsonl"),
    ],
)
def test_wrong_usage_is_one_line_with_a_way_out(cli, argv, hint):
    done = cli(*argv)
    assert done.code == 2
    assert done.out == ""
    assert hint in one_line(done.err)


def test_a_bug_ends_with_70_and_shows_its_traceback_on_demand(cli, sounds, monkeypatch):
    import audiosim.cli.compare

    def broken(*_):
        raise ZeroDivisionError("off by one")

    monkeypatch.setattr(audiosim.cli.compare, "write", broken)
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-q"
    done = cli(*argv)
    assert done.code == 70
    assert "ZeroDivisionError: off by one (please report it; -v shows the traceback)" in one_line(done.err)
    assert "Traceback" in cli(*argv, "-v").err


def test_ctrl_c_ends_with_130(cli, sounds, monkeypatch):
    import audiosim.cli.compare

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(audiosim.cli.compare, "write", interrupted)
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-q")
    assert (done.code, done.err) == (130, "")
