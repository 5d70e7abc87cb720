"""Files that a URL names: in memory, on a local web server, and whatever goes wrong there."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiosim
from audiosim import Signal, audio, remote
from audiosim.errors import InputError, MissingExtra, UsageError
from audiosim.testing.signals import affordable, noise
from tests.conftest import Done

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

RATE = 16000


@pytest.fixture(scope="module")
def sound() -> Signal:
    return Signal.of(noise(RATE, affordable(0.5), 1, 2), RATE)


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, emptied."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


class _Server(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send_head(self) -> Any:
        for code in (403, 500):
            if self.path.startswith(f"/{code}"):
                return self.send_error(code)
        return super().send_head()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: its address, and the folder that it shows."""
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("memory://a/b.wav", True),
        ("https://h/x.flac", True),
        ("zip://a.wav::s3://b/c.zip", True),
        ("a.wav", False),
        ("./a://b.wav", False),
        ("C://a.wav", False),  # a drive
        ("-", False),
        (Path("http://h/x"), False),
    ],
)
def test_what_is_a_url(text: Any, yes: bool) -> None:
    assert remote.is_url(text) is yes


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@h/x.wav", "https://h/x.wav"),
        ("https://token@h/x.wav", "https://h/x.wav"),
        ("sftp://me:p@w@h/x.wav", "sftp://me@h/x.wav"),
        ("s3://b/k.wav?X-Amz-Signature=abc&part=1", "s3://b/k.wav?X-Amz-Signature=***&part=1"),
        ("memory://a@b/c:d@e.wav", "memory://a@b/c:d@e.wav"),
        ("https://h/x.wav?id=3", "https://h/x.wav?id=3"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert remote.without_secrets(url) == shown
    assert audio.display_name(url) == audio.data_name(url) == shown
    assert remote.without_secrets(f"no {url} there") == f"no {shown} there"


def test_a_sound_in_memory(memory: Any, sound: Signal) -> None:
    memory.pipe_file("/a/b.wav", audio.encode(sound, "wav"))
    loaded = audiosim.load("memory://a/b.wav")
    assert (loaded.name, loaded.rate) == ("memory://a/b.wav", RATE)
    assert np.array_equal(loaded.samples, sound.samples)
    answer = audiosim.compare("memory://a/b.wav", sound, "mse")["mse"]
    assert answer.value == 0.0


def test_a_sound_on_a_web_server(web: tuple[str, Path], sound: Signal) -> None:
    address, folder = web
    audio.save(folder / "x y.flac", sound)
    loaded = audiosim.load(f"{address}/x%20y.flac")
    assert np.abs(loaded.samples - sound.samples).max() <= 2**-24


def test_a_file_url(tmp_path: Path, sound: Signal) -> None:
    audio.save(tmp_path / "a.wav", sound)
    assert np.array_equal(audiosim.load((tmp_path / "a.wav").as_uri()).samples, sound.samples)


def _refusal(call: Callable[[str], Any], url: str, kind: type[Exception] = InputError) -> str:
    with pytest.raises(kind) as refused:
        call(url)
    message = str(refused.value)
    assert message.isprintable()  # one line
    assert message.startswith(remote.without_secrets(url))
    return message


@pytest.mark.parametrize("call", [audiosim.load, remote.stat, remote.walk])
def test_what_cannot_be_had_is_said_in_one_line(call: Callable[[str], Any], web: tuple[str, Path], memory: Any) -> None:
    address, _ = web
    host = address.removeprefix("http://")
    assert "no such file" in _refusal(call, "memory://no.wav") or call is remote.walk
    assert "knows no such protocol" in _refusal(call, "nonsense://a/b.wav")
    assert "no such file" in _refusal(call, f"{address}/no.wav") or call is remote.walk
    assert "pw" not in _refusal(call, f"http://me:pw@{host}/no.wav")
    if call is not remote.walk:
        assert "no permission" in _refusal(call, f"{address}/403.wav")
        assert "Internal Server Error" in _refusal(call, f"{address}/500.wav")


@pytest.mark.parametrize("call", [audiosim.load, remote.stat, remote.walk])
def test_a_server_that_is_not_there(call: Callable[[str], Any]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        port = server.server_address[1]
    assert "Connection refused" in _refusal(call, f"http://127.0.0.1:{port}/x.wav")


def test_local_troubles_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is a directory" in _refusal(audiosim.load, tmp_path.as_uri())
    assert "no such file" in _refusal(audiosim.load, (tmp_path / "no.wav").as_uri())

    def refuse(*_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.cat_file", refuse)
    assert "no permission" in _refusal(audiosim.load, tmp_path.as_uri())


def test_a_file_that_is_no_sound(memory: Any) -> None:
    memory.pipe_file("/empty.wav", b"")
    memory.pipe_file("/text.wav", b"this is no sound")
    assert "is empty" in _refusal(audiosim.load, "memory://empty.wav")
    assert "memory://text.wav" in _refusal(audiosim.load, "memory://text.wav")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert "pip install 'audiosim[remote]'" in _refusal(audiosim.load, "memory://a.wav", MissingExtra)


def test_a_protocol_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    assert "Install s3fs to access S3" in _refusal(audiosim.load, "s3://b/a.wav", MissingExtra)


def test_a_folder_is_walked(memory: Any, web: tuple[str, Path], sound: Signal) -> None:
    address, folder = web
    data = audio.encode(sound, "wav")
    for name in ("a.wav", "sub/b c.wav", "sub/deep/ü.wav"):
        memory.pipe_file(f"/set/{name}", data)
        (folder / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "set" / name).write_bytes(data)
    for root in ("memory://set", "memory://set/", f"{address}/set", (folder / "set").as_uri()):
        found = remote.walk(root)
        assert list(found) == ["a.wav", "sub/b c.wav", "sub/deep/ü.wav"]
        for url in found.values():
            assert audiosim.load(url).length == sound.length
    assert "no folder" in _refusal(remote.walk, "memory://set/a.wav")


def test_a_version_is_told_by_size_and_stamp(memory: Any, web: tuple[str, Path]) -> None:
    address, folder = web
    memory.pipe_file("/a.wav", b"12345")
    (folder / "a.wav").write_bytes(b"12345")
    for url in ("memory://a.wav", f"{address}/a.wav", (folder / "a.wav").as_uri()):
        found = remote.stat(url)
        assert found is not None
        size, stamp = found
        assert size == 5
        assert stamp
        assert remote.stat(url) == found
    before = remote.stat("memory://a.wav")
    memory.pipe_file("/a.wav", b"54321")
    assert remote.stat("memory://a.wav") != before


def test_compare_reads_and_writes_urls(
    cli: Callable[..., Done], memory: Any, web: tuple[str, Path], sound: Signal
) -> None:
    address, folder = web
    memory.pipe_file("/ref.wav", audio.encode(sound, "wav"))
    audio.save(folder / "test.wav", sound)
    test = address.replace("http://", "http://me:pw@") + "/test.wav"
    done = cli("compare", "memory://ref.wav", test, "-m", "mse", "-o", "memory://out/run.json")
    assert (done.code, done.out, done.err) == (0, "", "")
    row = json.loads(memory.cat_file("/out/run.json"))
    assert row["results"][0]["value"] == 0.0
    assert (row["reference"], row["test"]) == ("memory://ref.wav", f"{address}/test.wav")


def test_a_batch_of_urls_and_its_journal_as_one(
    cli: Callable[..., Done], memory: Any, web: tuple[str, Path], sound: Signal, tmp_path: Path
) -> None:
    address, folder = web
    for name in ("ref/a b.wav", "test/a b.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        audio.save(folder / name, sound)
    secret = address.replace("http://", "http://me:pw@")
    done = cli("batch", f"{address}/ref", f"{secret}/test", "-m", "mse", "-o", "run.jsonl", "-q")
    assert done.code == 0
    text = (tmp_path / "run.jsonl").read_text()
    assert "pw" not in text
    (folder / "run.jsonl").write_text(text)
    done = cli("batch", "--from", f"{address}/run.jsonl", "--format", "csv", "-o", "memory://out.csv", "-q")
    assert done.code == 0
    assert b"a%20b.wav" in memory.cat_file("/out.csv")
    assert json.loads(text.splitlines()[1])["id"] == "a b.wav"
    done = cli("batch", f"{address}/ref", f"{address}/test", "-o", "memory://run.jsonl", "-q")
    assert (done.code, "grows row by row" in done.err) == (2, True)


def test_http_takes_no_output(cli: Callable[..., Done]) -> None:
    done = cli("compare", "a.wav", "b.wav", "-m", "mse", "-o", "http://127.0.0.1:9/out.json")
    assert done.code == 2
    assert "nothing can be written over http" in done.err
    assert "no such protocol" in _refusal(remote.check_writable, "nonsense://x", UsageError)
