"""Flag > environment > project > user > default."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from audiosim import config
from audiosim.config import Settings, resolve
from audiosim.errors import UsageError
from audiosim.match import Policy


def test_the_choices_are_those_of_the_policy():
    hints = get_type_hints(Policy)
    defaults = Settings().policy()
    for field, kind in (
        ("rates", config.Rate),
        ("channels", config.Channels),
        ("length", config.Length),
        ("full_scale", config.FullScale),
        ("gain", config.Gain),
        ("polarity", config.Polarity),
    ):
        assert get_args(hints[field]) == get_args(kind)
    assert Policy(**defaults) == Policy()


def test_each_place_beats_the_next(tmp_path):
    user = tmp_path / "user" / "audiosim"
    work = tmp_path / "work" / "deep"
    user.mkdir(parents=True)
    work.mkdir(parents=True)
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "user")}
    (user / "config.toml").write_text('format = "csv"\ngain = "match"\nrate = "resample"\njobs = 3\n')
    assert resolve({}, environment, work).format == "csv"
    (work.parent / "pyproject.toml").write_text('[tool.audiosim]\nformat = "tsv"\ngain = "none"\n')
    assert resolve({}, environment, work).format == "tsv"
    (work / "audiosim.toml").write_text('format = "jsonl"\nmetric = ["mse", "snr"]\nbands = true\n')
    nearest = resolve({}, environment, work)
    assert (nearest.format, nearest.gain, nearest.rate, nearest.jobs) == ("jsonl", "match", "resample", 3)
    assert (nearest.metric, nearest.bands) == (("mse", "snr"), True)
    environment |= {"AUDIOSIM_FORMAT": "json", "AUDIOSIM_METRIC": "lsd mfcc:bands=64", "AUDIOSIM_BANDS": "off"}
    variables = resolve({}, environment, work)
    assert (variables.format, variables.metric, variables.bands) == ("json", ("lsd", "mfcc:bands=64"), False)
    flags = resolve({"format": "value", "metric": ["mae"], "bands": True, "jobs": "2"}, environment, work)
    assert (flags.format, flags.metric, flags.bands, flags.jobs) == ("value", ("mae",), True, 2)


def test_sets_of_metrics_of_all_files_add_up(tmp_path):
    user = tmp_path / "user" / "audiosim"
    user.mkdir(parents=True)
    (user / "config.toml").write_text('[presets]\nmine = ["mse"]\nours = ["mae"]\n')
    (tmp_path / "audiosim.toml").write_text('preset = "ours"\n[presets]\nours = ["snr", "lsd"]\n')
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "AUDIOSIM_PRESETS": "no variable"}
    assert resolve({}, environment, tmp_path).presets == {"mine": ("mse",), "ours": ("snr", "lsd")}


def test_a_pyproject_without_our_table_is_passed_over(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text('[project]\nname = "other"\n')
    (tmp_path / "audiosim.toml").write_text('format = "json"\n')
    assert resolve({}, {}, inner).format == "json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('fromat = "json"', "unknown key 'fromat', did you mean 'format'?"),
        ('format = "jsno"', "did you mean 'json'?"),
        ("format = 3", "is one of"),
        ('jobs = "all"', "whole number"),
        ("jobs = 0", "at least 1"),
        ("jobs = true", "whole number"),
        ('bands = "perhaps"', "true or false"),
        ("bands = 1", "true or false"),
        ("metric = [1]", "list of strings"),
        ("metric = 1", "list of strings"),
        ("preset = 1", "a string"),
        ("presets = 1", "must be a table of lists"),
        ('[presets]\nmine = "pesq"', "presets.mine must be a list of metrics"),
        ("[presets]\nmine = []", "presets.mine must be a list of metrics"),
        ("[presets]\nmine = [1]", "presets.mine must be a list of metrics"),
        ('level = "loud"', "a number"),
        ("level = true", "a number"),
        ("format = ", "audiosim.toml: "),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, said):
    (tmp_path / "audiosim.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve({}, {}, tmp_path)
    assert "audiosim.toml" in str(caught.value)
    assert said in str(caught.value)


def test_variables_are_checked_too(tmp_path):
    with pytest.raises(UsageError, match="AUDIOSIM_GAIN is one of none, match"):
        resolve({}, {"AUDIOSIM_GAIN": "yes"}, tmp_path)
    assert resolve({}, {"AUDIOSIM_OF_ANOTHER_PROGRAM": "1", "AUDIOSIM_FORMAT": ""}, tmp_path) == Settings()


def test_unreadable_files_are_usage_errors(tmp_path):
    (tmp_path / "audiosim.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        resolve({}, {}, tmp_path)
    (tmp_path / "audiosim.toml").unlink()
    (tmp_path / "audiosim.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        resolve({}, {}, tmp_path)


def test_the_command_line_reads_the_project_file(cli, tmp_path):
    (tmp_path / "audiosim.toml").write_text('colour = "red"\n')
    done = cli("compare", "a.wav", "b.wav")
    assert done.code == 2
    assert "audiosim.toml: unknown key 'colour'" in done.err
