"""The metrics: one file each, nothing else. The file name is the metric's name; discovery is the folder listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import outside
from ..errors import UsageError
from ..options import Option, nearest

if TYPE_CHECKING:
    from ..metric import Metric
    from ..result import Scale


@dataclass(frozen=True, slots=True)
class Spec:
    """A metric with its options, as a user wrote it."""

    text: str
    name: str
    options: Mapping[str, Any]  # only those that were given


@cache
def own_names() -> tuple[str, ...]:
    """Names of audiosim's own metrics; none is imported."""
    return tuple(sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("[!_]*.py")))


def names() -> list[str]:
    """Names of all metrics, as used on the command line, from files and packages too; none is imported."""
    return sorted({*own_names(), *outside.names()})


def without_weights() -> list[str]:
    """Names of all metrics but those of trained networks, whose weights may not be here."""
    return [name for name in names() if get(name).card.family != "trained"]


def add_file(path: str | Path) -> str:
    """Offer the metric of a Python file, under the file's name; that name. To use it is to run the file.

    UsageError where there is no such file, or where its name is none for a metric.
    """
    return outside.add_file(path, own_names())


def get(name: str) -> Metric:
    """The metric of this name. UsageError with the nearest name when there is none."""
    plain = name.strip().lower().replace("_", "-")
    ours = plain in own_names()
    found = outside.find(plain, ours)
    if found is None and not ours:
        from . import _elsewhere

        known = names()
        hint = _elsewhere.told(plain, known) or nearest(plain, known, cutoff=0.7)
        raise UsageError(f"unknown metric {name!r}{hint}; `audiosim explain` lists them all")
    return found or _loaded(plain)


@cache
def _loaded(name: str) -> Metric:
    from ..metric import Metric

    return Metric(name, import_module(f".{name.replace('-', '_')}", __name__))


def options(name: str) -> Mapping[str, Option]:
    """The metric's options by name, its own before those that it shares with others."""
    return get(name).options


def parse(text: str, otherwise: Mapping[str, Any] | None = None) -> Spec:
    """`name` or `name:option=value,option=value` (a bare option means =true) as a Spec; else UsageError.

    otherwise: options for a metric that has them and is not given them in the text.
    """
    name, _, rest = text.strip().partition(":")
    name = name.strip().lower().replace("_", "-")
    metric = get(name)
    if metric.fault:
        return Spec(text, name, {})
    known = metric.options
    given: dict[str, Any] = {}
    for item in filter(None, (i.strip() for i in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        key = key.replace("-", "_")
        if key not in known:
            raise UsageError(
                f"{name} has no option {key!r}{nearest(key, list(known))}; it has: {', '.join(known) or 'none'}"
            )
        if key in given:
            raise UsageError(f"option {key!r} of {name} is given twice")
        try:
            given[key] = known[key].read(value if equals else "true")
        except UsageError as wrong:
            raise UsageError(f"{name}: {wrong}") from None
    spec = Spec(text, name, {k: v for k, v in (otherwise or {}).items() if k in known} | given)
    metric.chosen(spec.options)
    return spec


def scale(spec: str | Spec) -> Scale:
    """Unit and direction of the values of a spec, which may need no recording: an option may change them."""
    parsed = parse(spec) if isinstance(spec, str) else spec
    metric = get(parsed.name)
    return metric.scale(metric.chosen(parsed.options))
