"""`audiosim neighbours` and `audiosim retrieval`, with a small metric that has features and one that has none."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiosim.collection import features
from audiosim.errors import ExitCode
from tests.conftest import Done

pytestmark = pytest.mark.usefixtures("nothing_from_outside")

Cli = Callable[..., Done]
RATE = 8000
METRIC = '''
"""Two numbers of a recording: how loud it is, and how often it crosses zero."""
import numpy as np
from audiosim import Card
from audiosim.answer import Channel
from audiosim.errors import NoFeature
from audiosim.options import Options

CARD = Card(title="Crossings", family="music", unit="1", better="lower", identical=0.0, formula="a distance",
            source="a test", silence="Undefined.", caveat="A toy.", joint_channels=True, channels="averaged",
            pooling="downmix", lengths="any", symmetric=True)

def feature(samples, o):
    x = samples.mean(0, dtype=float)
    if not x.any():
        raise NoFeature("is silent")
    return np.array([np.log(np.abs(x).mean()), 10 * np.mean(x[1:] * x[:-1] < 0)])

def distances(one, many, o):
    return np.sqrt(((many - one) ** 2).sum(1))

def measure(pairs, o):
    return Channel(value=0.0)
'''


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: crossings.py, labels.csv, choices.csv, and music/ with nine tones, three of each of three pitches."""
    folder = tmp_path_factory.mktemp("collection")
    (folder / "crossings.py").write_text(METRIC)
    (folder / "music" / "c").mkdir(parents=True)
    t = np.arange(RATE // 4) / RATE
    lines = ["file,pitch,artist"]
    for i in range(9):
        name = f"{'c/' if i % 3 == 2 else ''}{i}.wav"
        tone = 0.1 * (1 + i / 20) * np.sin(2 * np.pi * (200, 900, 3000)[i % 3] * t)
        soundfile.write(folder / "music" / name, tone, RATE, subtype="FLOAT")
        lines.append(f"{name},{'abc'[i % 3]},{i // 6}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "choices.csv").write_text(
        "target,chosen,unchosen\n0.wav,3.wav,1.wav\n0.wav,3.wav,c/2.wav\n1.wav,0.wav,4.wav\n"
    )
    return folder


@pytest.fixture
def ask(cli: Cli, music: Path) -> Callable[..., Done]:
    """The command on that folder, with the features kept between the tests."""

    def asked(command: str, *flags: object, metric: bool = True) -> Done:
        file = ("--metric-file", music / "crossings.py", *(("-m", "crossings") if metric else ()))
        return cli(command, music / "music", *file, "--journal", music / "features.jsonl", *flags)

    return asked


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_nearest_are_of_the_same_pitch(ask, music) -> None:
    done = ask("neighbours", "-k", 2, "--format", "csv")
    assert done.code == 0
    rows = table(done.out)
    assert len(rows) == 18
    assert list(rows[0]) == ["spec", "query", "rank", "file", "distance"]
    pitch = {row["file"]: row["pitch"] for row in table((music / "labels.csv").read_text())}
    assert all(pitch[row["query"]] == pitch[row["file"]] for row in rows)
    assert all(row["query"] != row["file"] for row in rows)
    assert [row["rank"] for row in rows] == ["1", "2"] * 9
    assert "crossings: hubness" in done.err


def test_features_are_computed_once(ask, monkeypatch) -> None:
    ask("neighbours", "-q")
    monkeypatch.setattr(features, "run", lambda *_: pytest.fail("computed again"))
    done = ask("neighbours", "--format", "json", "-k", 20)
    assert done.code == 0
    assert "9 of 9 recordings" in done.err
    data = json.loads(done.out)
    assert data["metrics"][0]["hubs"]["never"] == 0
    assert data["metrics"][0]["without"] == []
    assert len(data["rows"]) == 9 * 8  # there are no more


def test_queries_from_inside_and_outside(ask, music) -> None:
    soundfile.write(music / "q.wav", 0.1 * np.sin(np.arange(RATE)), RATE, subtype="FLOAT")
    done = ask(
        "neighbours", "--query", music / "q.wav", "--query", "0.wav", "-k", 1, "--scaling", "mp", "--format", "jsonl"
    )
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["query"] for row in rows] == [str(music / "q.wav"), "0.wav"]
    assert rows[1]["file"] == "3.wav"
    assert all(0 <= row["scaled"] <= 1 for row in rows)
    assert "hubness" not in done.err


def test_a_filter(ask, music) -> None:
    done = ask("neighbours", "--labels", music / "labels.csv", "--filter", "artist", "-k", 9, "--format", "csv")
    artist = {row["file"]: row["artist"] for row in table((music / "labels.csv").read_text())}
    rows = table(done.out)
    assert rows
    assert all(artist[row["query"]] != artist[row["file"]] for row in rows)
    assert ask("neighbours", "--filter", "artist").code == ExitCode.USAGE


def test_the_page(ask, music) -> None:
    done = ask("neighbours", "-k", 2, "--report", music / "page.html", "-o", music / "rows.tsv")
    assert done.code == 0
    page = (music / "page.html").read_text()
    assert page.count('id="query-') == 9
    assert page.count("<audio") == 27
    assert page.count('type="text/plain" id="sound-') == 9  # each once
    assert "http" not in page.replace("http-equiv", "")
    assert (music / "rows.tsv").read_text().startswith("spec\tquery\trank\tfile\tdistance\n")


def test_recordings_that_have_nothing_to_compare(cli, music, tmp_path) -> None:
    for name in ("0.wav", "1.wav"):
        (tmp_path / name).write_bytes((music / "music" / name).read_bytes())
    (tmp_path / "broken.wav").write_text("this is no sound")
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), RATE)
    ours = ("--metric-file", music / "crossings.py", "-m", "crossings")
    done = cli("neighbours", tmp_path, *ours, "--format", "csv")
    assert done.code == ExitCode.INPUT
    assert [(row["query"], row["file"]) for row in table(done.out)] == [("0.wav", "1.wav"), ("1.wav", "0.wav")]
    assert "broken.wav" in done.err
    assert "silent.wav is silent" in done.err
    (tmp_path / "0.wav").unlink()
    done = cli("neighbours", tmp_path, *ours)
    assert done.code == ExitCode.INPUT
    assert "only one has something to compare" in done.err
    (tmp_path / "broken.wav").unlink()
    (tmp_path / "silent.wav").unlink()
    assert "is the only recording" in cli("neighbours", tmp_path, *ours).err
    (tmp_path / "1.wav").unlink()
    assert "there is no recording below" in cli("neighbours", tmp_path, *ours).err


def test_an_interrupted_run_says_how_to_go_on(ask, music, monkeypatch, cli) -> None:
    whole = features.run

    def interrupted(jobs, store, pool):
        for i, rows in enumerate(whole(jobs, store, pool)):
            yield rows
            if i == 3:
                raise KeyboardInterrupt

    file = ("--metric-file", music / "crossings.py", "-m", "crossings", "--journal", music / "again.jsonl")
    monkeypatch.setattr(features, "run", interrupted)
    done = cli("neighbours", music / "music", *file)
    assert done.code == ExitCode.INTERRUPTED
    assert "stopped; 4 features of 9 recordings are in" in done.err
    assert "the same command resumes there" in done.err
    monkeypatch.setattr(features, "run", whole)
    done = cli("neighbours", music / "music", *file, "--format", "csv")
    assert "4 of 9 recordings" in done.err
    assert done.out == ask("neighbours", "--format", "csv").out


def test_a_metric_without_features(cli, music, monkeypatch, tmp_path) -> None:
    from audiosim.collection import pairs

    done = cli("neighbours", music / "music", "-m", "mae", "-k", 1, "--format", "csv", "--include", "?.wav")
    assert done.code == 0
    nearest = {row["query"]: row["file"] for row in table(done.out)}
    assert nearest["0.wav"] == "3.wav"
    assert nearest["7.wav"] == "4.wav"
    soundfile.write(tmp_path / "short.wav", np.ones(10), RATE)
    (tmp_path / "broken.wav").write_text("this is no sound")
    for name in ("0.wav", "1.wav"):
        (tmp_path / name).write_bytes((music / "music" / name).read_bytes())
    done = cli("neighbours", tmp_path, "-m", "mae", "--format", "csv")
    assert done.code == ExitCode.INPUT
    assert [(row["query"], row["file"]) for row in table(done.out)] == [("0.wav", "1.wav"), ("1.wav", "0.wav")]
    assert "broken.wav" in done.err
    assert "short.wav" in done.err
    monkeypatch.setattr(pairs, "MOST", 10)
    done = cli("neighbours", music / "music", "-m", "mae")
    assert done.code == ExitCode.USAGE
    assert "9 recordings make 36 pairs, more than 10" in done.err
    assert "is no distance" in cli("neighbours", music / "music", "-m", "snr").err


def test_retrieval_by_labels_and_choices(ask, music) -> None:
    flags = ("--labels", music / "labels.csv", "--label", "pitch", "--trials", music / "choices.csv", "-k", 2)
    done = ask("retrieval", *flags, "--scaling", "none", "--scaling", "nicdm", "--format", "csv")
    assert done.code == 0
    rows = {(row["method"], row["against"], row["measure"]): row for row in table(done.out)}
    own = {measure: row for (method, against, measure), row in rows.items() if method == "crossings" and not against}
    assert {m: float(own[m]["value"]) for m in ("precision@1", "precision@2", "map", "triplets")} == dict.fromkeys(
        ("precision@1", "precision@2", "map", "triplets"), 1.0
    )
    assert float(own["precision@1"]["chance"]) == pytest.approx(2 / 8)
    assert float(own["first place"]["value"]) == 0.5
    assert float(own["triplets chosen"]["value"]) == pytest.approx(2 / 3)
    assert float(own["response rank"]["value"]) == 1.5
    assert float(rows["crossings", "crossings nicdm", "precision@1"]["p"]) == 1.0
    assert 0.5 < float(rows["crossings", "crossings nicdm", "top-10 agreement"]["value"]) <= 1.0
    shown = ask("retrieval", *flags, "--format", "table").out
    assert "by chance" in shown
    data = json.loads(ask("retrieval", *flags, "--json").out)
    assert (data["items"], data["label"], data["without"]) == (9, "pitch", [])


def test_retrieval_needs_something_to_judge_by(ask, music) -> None:
    assert "there is nothing to judge by" in ask("retrieval").err
    assert "say with --label" in ask("retrieval", "--labels", music / "labels.csv").err
    assert "--scaling is one of" in ask("retrieval", "--scaling", "x", "--labels", music / "labels.csv").err
