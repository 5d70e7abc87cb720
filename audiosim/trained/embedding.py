"""Embeddings: what a network makes of a sound, [frame, feature]. The network is a file of ONNX with a sidecar beside
it, FILE.json, that says what stands before it; or a model that audiosim knows, whose sidecar is in tables/models.json.

A front end that is not that of the training gives wrong numbers without a word. So a sidecar holds a test vector, the
mean embedding of the first sound of trained/vectors.py at its rate, to which the network is held when it is loaded.
docs/embeddings.md shows a sidecar.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingModel, UsageError
from . import musicnn, onnx, vectors, weights
from .mel import Mel, decibels

Array = NDArray[Any]

Short = Literal["zero", "repeat", "double"]  # what fills up a recording that is shorter than a piece

CLOSE = 1e-3  # of the largest number of a test vector, by which an embedding may differ from it
HELD = 256  # embeddings that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Of the numbers x of a mel spectrogram. log: ln(max(multiply x, floor) + add) / ln(base). db: 10 lg max(x, floor),
    over the loudest where over_peak, and at most range dB below it where that is above 0. Then (y + shift) factor."""

    kind: Literal["none", "log", "db"] = "none"
    base: float = 10.0
    multiply: float = 1.0
    add: float = 0.0
    floor: float = 0.0
    over_peak: bool = False
    range: float = 0.0
    shift: float = 0.0
    factor: float = 1.0

    def __call__(self, x: Array) -> Array:
        if self.kind == "log":
            x = np.log(np.maximum(self.multiply * x, self.floor) + self.add) / np.log(self.base)
        elif self.kind == "db":
            x = decibels(x, self.floor, self.range or None, self.over_peak)
        return (x + self.shift) * self.factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Into pieces of so many samples or frames, one every hop; what is left over at the end is not heard.

    heard: of a piece, from its beginning; 0: all of it. whole: only so many whole hops of a recording are cut, but at
    least one piece.
    """

    size: int
    hop: int
    heard: int = 0
    whole: bool = False

    def __call__(self, x: Array, short: Short) -> Iterator[tuple[int, Array]]:
        """Where each piece begins, and what is heard of it [size, ...]."""
        while short == "double" and 0 < len(x) < self.size:
            x = np.concatenate([x, x])
        if len(x) < self.size:
            missing = [(0, self.size - len(x)), *[(0, 0)] * (x.ndim - 1)]
            x = np.pad(x, missing, mode="wrap" if short == "repeat" and len(x) else "constant")
        end = max(len(x) // self.hop * self.hop, self.size) if self.whole else len(x)
        for start in range(0, end - self.size + 1, self.hop):
            yield start, x[start : start + (self.heard or self.size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What stands before and behind a network.

    rate: Hz. scale: what samples, full scale 1, are multiplied by. window: of samples, before all else. mel: absent
    where the network takes samples. patch: of frames of the spectrogram. short: how a recording is filled up that is
    shorter than a window or patch: by zeros, repeated until it is as long, or doubled until it is no longer shorter.
    shape: of the input, of 1, "sample", "frame" and "band". output: its name; it is [1, feature] or [1, frame,
    feature]. pool: of frames. vector: the mean embedding [feature] of the test sound.
    """

    rate: int
    input: str
    shape: list[Any]
    output: str
    sha256: str
    vector: list[float]
    scale: float = 1.0
    window: Cut | None = None
    mel: Mel | None = None
    compression: Compression = Compression()
    patch: Cut | None = None
    short: Short = "zero"
    pool: Literal["mean", "gram", "frames+dtw"] = "mean"

    def inputs(self, x: Array) -> Iterator[tuple[int, int, Array]]:
        """Of samples [sample] the first one and how many each input of the network is of, and the input."""
        x = np.asarray(x, np.float64) * self.scale
        for start, piece in self.window(x, self.short) if self.window else [(0, x)]:
            if self.mel is None:
                yield start, piece.size, self._shaped(piece, {"sample": piece.size})
                continue
            bands = self.compression(self.mel(piece))
            for first, part in self.patch(bands, self.short) if self.patch else [(0, bands)]:
                size = self.patch.size * self.mel.hop if self.patch else piece.size
                yield (
                    start + first * self.mel.hop,
                    size,
                    self._shaped(part, {"frame": len(part), "band": self.mel.bands}),
                )

    def _shaped(self, part: Array, sizes: Mapping[str, int]) -> Array:
        """In the order of the shape, with axes of one element where it has 1."""
        order = [name for name in self.shape if name in sizes]
        turned = part.transpose([list(sizes).index(name) for name in order])
        return turned.reshape([sizes.get(name, 1) for name in self.shape]).astype(np.float32)


class Embedding(NamedTuple):
    """numbers [frame, feature], and where the frames are centred, in seconds [frame]."""

    numbers: Array
    times: Array


class Embedder(NamedTuple):
    """A network with what stands before it. name: by the content of both."""

    name: str
    sidecar: Sidecar
    network: onnx.Network

    def __call__(self, x: Array) -> Embedding:
        """Of samples [sample] at the sidecar's rate; remembered by their content."""
        key = self.name, str(x.dtype), hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest()
        if key not in _memory:
            if len(_memory) >= HELD:
                _memory.pop(next(iter(_memory)), None)
            _memory[key] = self.computed(x)
        return _memory[key]

    def computed(self, x: Array) -> Embedding:
        """The same, computed anew."""
        rate, output = self.sidecar.rate, self.sidecar.output
        found, times = [], []
        for first, size, given in self.sidecar.inputs(x):
            (raw,) = self.network({self.sidecar.input: given}, [output])
            if raw.ndim not in (2, 3) or len(raw) != 1:
                raise InputError(
                    f"output {output} is {list(raw.shape)}; needed are [1, feature] or [1, frame, feature]"
                )
            rows = np.atleast_2d(raw[0]).astype(np.float64)
            found.append(rows)
            times.append((first + (np.arange(len(rows)) + 0.5) * min(size, max(x.size - first, 1)) / len(rows)) / rate)
        numbers = np.concatenate(found)
        if not np.isfinite(numbers).all():
            raise InputError(f"output {output} has numbers that are not finite; this network does not take such sound")
        return Embedding(numbers, np.concatenate(times))


_memory: dict[Any, Embedding] = {}


def files(name: str) -> tuple[Path, ...]:
    """Those of which `load` makes an embedder, as far as they are there."""
    if name in weights.models():
        return weights.present(name)
    return tuple(file for file in _both(name) if file.is_file())


def _both(name: str) -> tuple[Path, Path]:
    """The file of ONNX, and the sidecar."""
    path = Path(name).expanduser()
    return path, path.with_suffix(".json")


def load(name: str) -> Embedder:
    """That of a known model, or of a file of ONNX with its sidecar. UsageError and MissingModel where there is none,
    InputError where file, sidecar and test vector do not belong together."""
    known = weights.models().get(name)
    if known:
        if not known.sidecar:
            others = ", ".join(model.name for model in weights.models().values() if model.sidecar)
            raise UsageError(f"{name} makes no embeddings; {others} do, and files of ONNX with a sidecar")
        path = weights.find(name)
        return _known(name, path, *(file.stat().st_mtime_ns for file in weights.present(name)))
    path, beside = _both(name)
    for file, what in ((path, "a file of ONNX, or one of `audiosim models`"), (beside, "the sidecar that it needs")):
        if not file.is_file():
            raise MissingModel(f"there is no file {file}: {what}; see docs/embeddings.md")
    return _of_files(path, *(file.stat().st_mtime_ns for file in (path, beside)))


@lru_cache(maxsize=4)
def _known(name: str, path: Path, *modified: int) -> Embedder:
    del modified  # of what the files were, when they were read
    known = weights.models()[name]
    network = musicnn.network(path) if name.startswith("musicnn") else onnx.network(path)
    sidecar = sidecar_of({"sha256": "", **(known.sidecar or {})}, f"the sidecar of {name}")
    content = "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in weights.present(name))
    return _held(Embedder(_named(name, content, repr(sidecar)), sidecar, network), name)


@lru_cache(maxsize=4)
def _of_files(path: Path, *modified: int) -> Embedder:
    del modified  # of what the files were, when they were read
    beside = path.with_suffix(".json")
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as broken:
        raise InputError(f"{beside}: is no JSON: {broken}") from None
    sidecar = sidecar_of(told, str(beside))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sidecar.sha256.lower():
        raise InputError(f"{beside}: sha256 is that of another file than {path}, which has {found}")
    return _held(Embedder(_named(path.stem, found, repr(sidecar)), sidecar, onnx.network(path)), str(beside))


def _named(name: str, *contents: str) -> str:
    """A name that is another for other contents, and can be that of a folder."""
    digest = hashlib.blake2b("".join(contents).encode(), digest_size=8).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_-]', '_', name)}-{digest}"


def _held(embedder: Embedder, what: str) -> Embedder:
    """The embedder, if it makes of the test sound what its vector says; InputError otherwise."""
    stored = np.array(embedder.sidecar.vector)
    sound, _ = vectors.sounds(embedder.sidecar.rate)
    made = embedder.computed(sound[0]).numbers.mean(0)
    if made.shape != stored.shape:
        raise InputError(f"{what}: its vector has {stored.size} numbers, the network gives {made.size}")
    off = float(np.abs(made - stored).max())
    if not off <= CLOSE * np.abs(stored).max():
        raise InputError(
            f"{what}: the network does not give the numbers of its test vector (off by {off:.3g} of "
            f"{np.abs(stored).max():.3g}): rate, scale, mel or compression are not those of its training"
        )
    return embedder


def sidecar_of(told: Any, where: str) -> Sidecar:
    """The sidecar of what a file of JSON holds; InputError that begins with `where` for what is none."""
    found = _made(Sidecar, told, where)
    assert isinstance(found, Sidecar)
    axes = {"sample"} if found.mel is None else {"frame", "band"}
    if {name for name in found.shape if name != 1} != axes or len([n for n in found.shape if n != 1]) != len(axes):
        raise InputError(f"{where}: shape is of 1 and each of {', '.join(sorted(axes))} once, not {found.shape}")
    if found.patch and found.mel is None:
        raise InputError(f"{where}: patch is of frames of a mel spectrogram; samples have a window")
    for name, cut in (("window", found.window), ("patch", found.patch)):
        if cut and not (cut.size and cut.hop and cut.heard <= cut.size):
            raise InputError(f"{where}: {name} has size and hop above 0, and heard of at most its size")
    if found.mel and not (found.rate and found.mel.n_fft and found.mel.hop and found.mel.bands):
        raise InputError(f"{where}: rate, and n_fft, hop and bands of mel, are above 0")
    if found.mel and found.mel.rate != found.rate:
        raise InputError(f"{where}: mel.rate is {found.mel.rate}, rate is {found.rate}")
    return found


def _made(kind: Any, told: Any, where: str) -> Any:
    """A value of a dataclass's field, checked."""
    if isinstance(kind, UnionType):
        return None if told is None else _made(next(k for k in get_args(kind) if k is not type(None)), told, where)
    if is_dataclass(kind):
        if not isinstance(told, dict):
            raise InputError(f"{where} is an object, not {told!r:.40}")
        known = {f.name: f for f in fields(kind)}
        if unknown := [key for key in told if key not in known]:
            raise InputError(f"{where}: there is no key {unknown[0]!r}; the keys are {', '.join(known)}")
        needed = [f.name for f in known.values() if f.default is MISSING and f.default_factory is MISSING]
        if missing := [name for name in needed if name not in told]:
            raise InputError(f"{where}: {missing[0]} is missing")
        hints = get_type_hints(kind)
        made: Any = kind
        return made(**{key: _made(hints[key], value, f"{where}: {key}") for key, value in told.items()})
    if get_origin(kind) is Literal:
        if told not in get_args(kind):
            raise InputError(f"{where} is one of {', '.join(get_args(kind))}, not {told!r:.40}")
        return told
    if get_origin(kind) is list:
        if not isinstance(told, list) or not told:
            raise InputError(f"{where} is a list, not {told!r:.40}")
        (item,) = get_args(kind)
        return told if item is Any else [_made(item, one, where) for one in told]
    if kind in (int, float):
        number = isinstance(told, int | float) and not isinstance(told, bool)
        if not number or not np.isfinite(told) or (kind is int and (told != int(told) or told < 0)):
            raise InputError(f"{where} is a {'whole ' if kind is int else ''}number, not {told!r:.40}")
        return kind(told)
    if not isinstance(told, kind):
        raise InputError(f"{where} is {'true or false' if kind is bool else 'text'}, not {told!r:.40}")
    return told
