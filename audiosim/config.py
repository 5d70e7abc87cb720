"""Settings of the command line: flag > environment > project > user > default.

Environment: ``AUDIOSIM_<KEY>``, lists separated by spaces. Project: ``audiosim.toml``, or ``[tool.audiosim]`` in
``pyproject.toml``, in the working directory or the nearest one above it that has either. User:
``$XDG_CONFIG_HOME/audiosim/config.toml``. Only the standard library is imported: ``--help`` passes through here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

Tables = Literal["table", "tsv", "csv", "json", "jsonl"]  # the formats of explain
Format = Literal["table", "tsv", "csv", "json", "jsonl", "value", "markdown", "junit", "html", "parquet"]
Rate = Literal["error", "resample"]
Channels = Literal["error", "mono", "match"]
Length = Literal["auto", "error", "trim", "pad", "keep"]
FullScale = Literal["error", "int16", "int24", "keep"]
Unfamiliar = Literal["mark", "error"]
Gain = Literal["none", "match"]
Polarity = Literal["keep", "match"]
Damaged = Literal["error", "allow"]
Backend = Literal["numba", "torch"]
ReportAudio = Literal["worst", "full", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a flag, a variable or a configuration file can set; keys are the names of the flags."""

    metric: tuple[str, ...] = ()  # specs; empty: those of the preset
    preset: str = "default"
    presets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # sets of specs by name, only in files
    format: Format | None = None  # None: table on a terminal, tsv elsewhere
    bands: bool = False
    bins: bool = False
    times: bool = False
    verdict: bool | None = None  # of compare; None: without -m, on a terminal
    require: tuple[str, ...] = ()
    rate: Rate = "error"
    channels: Channels = "error"
    length: Length = "auto"
    align: str = "none"  # auto: a delay of up to 1 s; auto:SECONDS; drift; find; warp
    gain: Gain = "none"
    polarity: Polarity = "keep"
    level: float | None = None  # dB SPL of a full-scale sine; None: each metric's own
    audiogram: str | None = None  # the listener's hearing losses; None: each metric's own
    damaged: Damaged = "error"
    raw: str | None = None  # RATE:CHANNELS:FORMAT of files without a header; None: there are none
    full_scale: FullScale = "keep"  # of peaks above +6 dBFS
    unfamiliar: Unfamiliar = "mark"  # of sounds unlike those that a metric was judged on
    backend: Backend = "numba"
    report_audio: ReportAudio = "worst"
    jobs: int | None = None  # None: all cores
    progress: bool | None = None  # of a batch; None: a bar on a terminal, a line now and then elsewhere
    quiet: bool = False
    verbose: bool = False

    def policy(self) -> dict[str, Any]:
        """The fields of match.Policy."""
        return {
            "rates": self.rate,
            "channels": self.channels,
            "length": self.length,
            "align": self.align,
            "gain": self.gain,
            "polarity": self.polarity,
            "level": self.level,
            "audiogram": self.audiogram,
            "damaged": self.damaged,
            "raw": self.raw,
            "full_scale": self.full_scale,
            "unfamiliar": self.unfamiliar,
        }


TABLE = "presets"  # the one setting that is a table, which has neither flag nor variable
KEYS = frozenset(f.name for f in fields(Settings)) - {TABLE}


def resolve(
    flags: Mapping[str, Any], environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> Settings:
    """The settings in force.

    flags: as typed by the user; None or an empty list where not given.
    environment, directory: those of the process unless given.
    Raises UsageError for an unknown key or value, with the place where it stands.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for path, table in reversed(list(_files(environment, directory or Path.cwd()))):
        for key, value in table.items():
            if key not in _hints():
                raise UsageError(f"{_shown(path)}: unknown key {key!r}{nearest(key, list(_hints()))}")
            found = checked(key, value, f"{_shown(path)}: {key}")
            values[key] = {**values.get(key, {}), **found} if key == TABLE else found
    for key in _hints().keys() - {TABLE}:
        name = f"AUDIOSIM_{key.upper()}"
        if environment.get(name):
            values[key] = checked(key, environment[name], name)
    for key, value in flags.items():
        if value is not None and value != () and value != []:
            values[key] = checked(key, value, f"--{key.replace('_', '-')}")
    return Settings(**values)


def checked(key: str, value: Any, where: str) -> Any:
    """The value in the type of its setting; UsageError that begins with `where` when it has another."""
    if key == TABLE:
        return _presets(value, where)
    kind = _hints()[key]
    if get_origin(kind) in (Union, UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is tuple:
        items = value.split() if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(i, str) for i in items):
            raise UsageError(f"{where} must be a list of strings, not {value!r}")
        return tuple(items)
    if get_origin(kind) is Literal:
        choices = [str(c) for c in get_args(kind)]
        if value not in choices:
            raise UsageError(f"{where} is one of {', '.join(choices)}, not {value!r}{nearest(str(value), choices)}")
        return value
    if kind is bool:
        word = value if isinstance(value, bool) else _TRUTH.get(value.lower()) if isinstance(value, str) else None
        if word is None:
            raise UsageError(f"{where} is true or false, not {value!r}")
        return word
    if kind is int:
        return whole(value, where)
    if kind is float:
        try:
            return float("" if isinstance(value, bool) else value)
        except (TypeError, ValueError):
            raise UsageError(f"{where} must be a number, not {value!r}") from None
    if not isinstance(value, str):
        raise UsageError(f"{where} must be a string, not {value!r}")
    return value


def _presets(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a table of lists, such as mine = ['auditory', 'pesq'], not {value!r}")
    for name, specs in value.items():
        if not (isinstance(specs, list) and specs and all(isinstance(s, str) for s in specs)):
            raise UsageError(f"{where}.{name} must be a list of metrics, such as ['auditory', 'pesq'], not {specs!r}")
    return {name: tuple(specs) for name, specs in value.items()}


def whole(value: Any, where: str, least: int = 1) -> int:
    """The value as a whole number; UsageError that begins with `where` when it is none, or less than the least."""
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else least - 1
    except ValueError:
        number = least - 1
    if number < least:
        raise UsageError(f"{where} must be a whole number of at least {least}, not {value!r}")
    return number


def positive(value: str, where: str) -> float:
    """The value as a number above 0; UsageError that begins with `where` when it is none."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise UsageError(f"{where} must be a number above 0, not {value!r}")
    return number


def nearest(word: str, known: list[str]) -> str:
    """`, did you mean 'x'?` or nothing."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@cache
def _hints() -> dict[str, Any]:
    hints = get_type_hints(Settings)
    return {f.name: hints[f.name] for f in fields(Settings)}


def _files(environment: Mapping[str, str], directory: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """(file, its table), the most important first."""
    for folder in (directory, *directory.parents):
        table = _read(own := folder / "audiosim.toml")
        if table is not None:
            yield own, table
            break
        project = _read(shared := folder / "pyproject.toml") or {}
        tool = project.get("tool")
        table = tool.get("audiosim") if isinstance(tool, dict) else None
        if table is not None:
            if not isinstance(table, dict):
                raise UsageError(f"{_shown(shared)}: tool.audiosim must be a table")
            yield shared, table
            break
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", ""), ".config")  # noqa: PTH118
    user = Path(home) / "audiosim" / "config.toml"
    if user.is_absolute():
        table = _read(user)
        if table is not None:
            yield user, table


def _read(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as broken:
        reason = getattr(broken, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{_shown(path)}: cannot be read: {reason}") from None
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise UsageError(f"{_shown(path)}: {broken}") from None


def _shown(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
