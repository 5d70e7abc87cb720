"""Metrics from outside the package: those of installed packages, and files that the user names.

A package offers metrics by the entry point group `audiosim.metrics`, such as

    [project.entry-points."audiosim.metrics"]
    huber = "my_package.huber"

A file is offered by `--metric-file huber.py`, or audiosim.metrics.add_file. Either is a module as audiosim/metrics
holds them (metric.Metric says what it has). To name it is to run its code. What is wrong with one makes it a Metric
with a fault, whose values are errors that say so; other metrics keep theirs.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .card import Card
from .errors import UsageError
from .metric import Metric
from .options import Options, described
from .watch import silent, told

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


GROUP = "audiosim.metrics"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_files: dict[str, Path] = {}


def add_file(path: str | Path, ours: Sequence[str]) -> str:
    """Offer the metric of a Python file under the file's name, which is returned; it is run when it is first asked for.

    ours: names that audiosim's own metrics have. Raises UsageError where there is no such file, or where its name is
    none for a metric.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise UsageError(f"--metric-file {path}: there is no such file")
    name = file.stem.lower().replace("_", "-")
    if file.suffix != ".py" or not NAME.fullmatch(name):
        raise UsageError(f"--metric-file {path}: call the file as the metric, such as my_metric.py for my-metric")
    if _files.get(name, file) != file:
        raise UsageError(f"--metric-file {path}: {_files[name]} has this name already; rename one of them")
    _files[name] = file
    if name in ours:
        _found.cache_clear()
    return name


def names() -> list[str]:
    """Of all metrics from outside; reads what the installed packages declare, and runs nothing of them."""
    return sorted({*_files, *_declared()})


def file_names() -> list[str]:
    """Of those that files offer."""
    return list(_files)


def find(name: str, ours: bool = False) -> Metric | None:
    """The metric from outside of this name; None where there is none. ours: audiosim has one of this name itself."""
    if name not in _files and (ours or name not in _declared()):
        return None
    return _found(name, ours)


@cache
def _found(name: str, ours: bool) -> Metric:
    if name in _files:
        if ours:
            return _faulty(name, f"{_files[name]} is called like a metric of audiosim's own; rename the file")
        return from_file(_files[name])
    return _from_package(name, _declared()[name])


@cache
def _declared() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of the start-up time of a comparison

    return {e.name.lower().replace("_", "-"): e for e in entry_points(group=GROUP)}


def from_file(path: str | Path) -> Metric:
    """The metric of a Python file, which is run."""
    file = Path(path).absolute()
    name = file.stem.lower().replace("_", "-")
    source = file.read_bytes()
    spec = spec_from_file_location(f"audiosim_metric_file_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look up their module there
    try:
        with silent(str(file)):
            spec.loader.exec_module(module)
    except Exception as wrong:  # noqa: BLE001  whatever a file does when it is run
        return _faulty(name, f"{file} cannot be used: {told(wrong)}")
    return _checked(name, module, str(file), source)


def _from_package(name: str, entry: EntryPoint) -> Metric:
    where = f"{entry.value} of {entry.dist.name if entry.dist else 'an installed package'}"
    try:
        with silent(where):
            module = entry.load()
    except Exception as wrong:  # noqa: BLE001  whatever a package does when it is imported
        return _faulty(name, f"{where} cannot be used: {told(wrong)}")
    file = getattr(module, "__file__", None)
    return _checked(name, module, where, Path(file).read_bytes() if file else b"")


def _checked(name: str, module: Any, where: str, source: bytes) -> Metric:
    """The metric, or one with a fault where the module is none."""

    def wrong() -> str | None:
        if not isinstance(module, ModuleType):
            return "it is no module"
        if not isinstance(card := getattr(module, "CARD", None), Card):
            return "it has no CARD, which is an audiosim.Card"
        options = getattr(module, "Options", None)
        if not (isinstance(options, type) and issubclass(options, Options)):
            return "it has no class Options, a frozen dataclass that inherits from audiosim.options.Options"
        described(options)
        if not callable(getattr(module, "measure", None)):
            return "it has no function measure(pair, options)"
        if card.gradient != "none" and not callable(getattr(module, "twin", None)):
            return f"its card says gradient={card.gradient!r}, but it has no function twin(rate, options)"
        return None

    try:
        fault = wrong()
    except Exception as broken:  # noqa: BLE001  annotations are code too
        fault = told(broken)
    if fault:
        return _faulty(name, f"{where} is no metric: {fault}")
    return Metric(name, module, hashlib.sha256(source).hexdigest())


def _faulty(name: str, fault: str) -> Metric:
    """A metric in whose place there is a fault."""
    module = ModuleType(name, fault)
    card = Card(
        title=f"{name} (cannot be used)",
        family="conventional",
        unit="1",
        better="lower",
        formula="none",
        source="none",
        silence="none",
        caveat=fault,
    )
    module.__dict__.update(CARD=card, Options=Options)
    return Metric(name, module, "", fault)
