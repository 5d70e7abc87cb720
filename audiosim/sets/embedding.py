"""Embeddings: what turns a recording into points, and a folder in which they are kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import audio, remote
from ..dsp.resampling import to_rate
from ..errors import InputError, UsageError
from ..hearing import band_statistics
from ..signal import Signal
from ..trained.embedding import Embedder, load

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Embedding:
    """points: of a recording, [point, feature], one point or more a second. name: of this function and all that its
    numbers depend on, such as a version or the digest of weights; what it gave is kept under the name, or not where it
    is empty."""

    points: Callable[[Signal], Any]
    name: str = ""

    def of(self, signal: Signal) -> Array:
        """float64 [point, feature]. UsageError where the function gives something else."""
        found = np.asarray(self.points(signal), np.float64)
        if found.ndim != 2:
            raise UsageError(f"the embedding gives {list(found.shape)} of {signal.name}, not [point, feature]")
        if not np.isfinite(found).all():
            raise UsageError(f"the embedding gives NaN or infinity of {signal.name}")
        return found


def _bands(signal: Signal) -> Array:
    return band_statistics.features(signal.samples.mean(0, dtype=np.float64), signal.rate)


BANDS = Embedding(_bands, "bands-1")  # statistics of auditory bands; the number goes up when values change


def embedding(asked: Embedding | Callable[[Signal], Any] | str | None) -> Embedding:
    """What was asked for; None: statistics of auditory bands; text: a trained model, as in the metric embedding."""
    if asked is None:
        return BANDS
    if isinstance(asked, str):
        embedder = load(asked)
        return Embedding(partial(_by_model, embedder), embedder.name)
    if isinstance(asked, Embedding):
        return asked
    if not callable(asked):
        raise UsageError(f"embedding is a function of a recording, not {asked!r}")
    return Embedding(asked)


def _by_model(embedder: Embedder, signal: Signal) -> Array:
    mono = replace(signal, samples=signal.samples.mean(0, keepdims=True))
    return embedder.computed(to_rate(mono, embedder.sidecar.rate).samples[0]).numbers


def folder() -> Path:
    """Where embeddings are kept: `$XDG_CACHE_HOME/audiosim/embeddings`. It may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "audiosim" / "embeddings"


def embedded(
    sound: str | os.PathLike[str] | Signal, by: Embedding, *, keep: bool = True, damaged: Any = "error", raw: Any = None
) -> Array:
    """Points of a recording, kept by its content where it is a file. damaged, raw: as in audio.load.

    Raises InputError for what cannot be read.
    """
    if isinstance(sound, Signal):
        return by.of(sound)
    if not (keep and by.name):
        return by.of(audio.load(sound, damaged=damaged, raw=raw))
    content = _digest(sound, f"{damaged} {raw}" if raw or damaged != "error" else "")
    file = folder() / by.name / content[:2] / f"{content[2:]}.npy"
    with suppress(OSError, ValueError, EOFError):
        known: Array = np.load(file, allow_pickle=False)
        return known
    found = by.of(audio.load(sound, damaged=damaged, raw=raw))
    with suppress(OSError):  # a full or read-only disk is no reason to stop
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                np.save(stream, found)
            Path(draft).replace(file)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    return found


def _digest(path: str | os.PathLike[str], how: str) -> str:
    """Of the content of a file, and of how it is read."""
    digest = hashlib.blake2b(how.encode(), digest_size=16)
    try:
        if remote.is_url(path):
            digest.update(remote.read(os.fspath(path)))
        else:
            with Path(path).open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as broken:
        raise InputError(f"{audio.display_name(path)}: cannot be read: {broken.strerror}") from None
    return digest.hexdigest()
