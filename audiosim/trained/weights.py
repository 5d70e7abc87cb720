"""Weights of trained models: which are known, and where their files are. tables/models.json holds what is told of them.

A file is looked for where the user says (model=PATH), in the user's folder, `$XDG_DATA_HOME/audiosim/models`, and in
the installed package that brings it. Packages are not imported, and nothing is downloaded here: `audiosim models get`
does that, and only that.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import MissingModel, UsageError
from ..options import nearest

Where = Literal["path", "user", "package"]
TABLE = "models.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """name: in the user's folder. member: its path in the wheel or in the repository."""

    name: str
    member: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A known model. Its files lie in a package, `name==version`, or in a repository on GitHub, `owner/name@commit`.

    judges: what it says about what. extra: of audiosim, that installs the package; "" where none does. vector: a spec,
    and its value for the sounds of trained/vectors.py. sidecar: of one that makes embeddings, see trained/embedding.py.
    """

    name: str
    judges: str
    rate: int  # Hz
    licence: str
    files: tuple[File, ...]
    package: str = ""
    extra: str = ""
    repository: str = ""
    vector: tuple[str, float] | None = None
    sidecar: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        return self.package or f"github.com/{self.repository}"

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Place(NamedTuple):
    """Where a model was found: its files, in the order of Model.files."""

    files: tuple[Path, ...]
    where: Where


@cache
def models() -> Mapping[str, Model]:
    """The known models by name."""
    stored = json.loads(resources.files("audiosim.tables").joinpath(TABLE).read_text(encoding="utf-8"))
    return {
        name: Model(name=name, **(entry | {"files": tuple(File(**file) for file in entry["files"])}))
        for name, entry in stored.items()
    }


def model(name: str) -> Model:
    """The known model of this name; UsageError with the nearest name where there is none."""
    known = models()
    if name not in known:
        raise UsageError(f"there is no model {name!r}{nearest(name, list(known))}; `audiosim models` lists them all")
    return known[name]


def find(name: str, path: str | Path | None = None) -> Path:
    """The first file of a model; the others lie beside it. MissingModel where there is none.

    path: where the user says that it is; a checkpoint of TensorFlow may be named without its suffix.
    """
    place = located(name, path)
    if place is None:
        known = model(name)
        extra = f"pip install 'audiosim[{known.extra}]', or " if known.extra else ""
        raise MissingModel(
            f"the model {name} is not here: {extra}audiosim models get {name}, or name its file with model=PATH"
        )
    return place.files[0]


def located(name: str, path: str | Path | None = None) -> Place | None:
    """Where a model is; None where it is not. MissingModel for a path at which there is nothing."""
    files = model(name).files
    if path:
        return Place(_named(files, Path(path).expanduser()), "path")
    own = tuple(folder() / file.name for file in files)
    if all(file.is_file() for file in own):
        return Place(own, "user")
    for root in _roots(files[0].member) if model(name).package else ():
        installed = tuple(root / file.member for file in files)
        if all(file.is_file() for file in installed):
            return Place(installed, "package")
    return None


def present(name: str, path: str = "") -> tuple[Path, ...]:
    """The files of a model, as `find` finds it; none where there is none."""
    try:
        place = located(name, path)
    except MissingModel:
        return ()
    return place.files if place else ()


def is_known(name: str, place: Place) -> bool:
    """Whether the files are the known ones: size and sha256."""
    return all(matches(path, file) for path, file in zip(place.files, model(name).files, strict=True))


def matches(path: Path, file: File) -> bool:
    """Whether what lies there is this file."""
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def folder() -> Path:
    """The user's folder of models, which need not exist."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "audiosim" / "models"


def _named(files: tuple[File, ...], first: Path) -> tuple[Path, ...]:
    """The files of a model of which the user has named the first, or what is before its suffix."""
    found: tuple[Path, ...] = (first,)
    if len(files) > 1:
        suffixes = [file.name.partition(".")[2] for file in files]
        stem = str(first).removesuffix(f".{suffixes[0]}")
        found = tuple(Path(f"{stem}.{suffix}") for suffix in suffixes)
    for file in found:
        if file.is_dir():
            raise MissingModel(f"{file} is a folder; model=PATH names the file of a model")
        if not file.is_file():
            raise MissingModel(f"there is no file {file}; model=PATH names the file of a model")
    return found


def _roots(member: str) -> list[Path]:
    """Where packages are installed that have the first part of the member's path."""
    try:
        found = importlib.util.find_spec(member.partition("/")[0])
    except (ImportError, ValueError):
        found = None
    return [Path(place).parent for place in (found.submodule_search_locations or () if found else ())]
