"""The metrics: one file each, nothing else. The file name is the metric's name; discovery is the folder listing."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from ..card import Card
from ..errors import UsageError
from ..result import Result

RESERVED = ("detail", "band_edges", "jobs")  # keywords of every compute that are no options of the metric


class Metric(Protocol):
    """What a metric file offers. Some offer more: twin, the formula on tensors, and words(result), the sounds of what
    `explain` has found, the largest first."""

    CARD: Card

    def compute(self, ref: Any, test: Any, rate: int, **options: Any) -> Result: ...


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a metric, read from the signature of its compute."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def choices(self) -> tuple[Any, ...]:
        return get_args(self.type) if get_origin(self.type) is Literal else ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A metric with its options, as a user wrote it."""

    text: str
    name: str
    options: Mapping[str, Any]  # only those that were given


def names() -> list[str]:
    """Names of all metrics, as used on the command line; no metric is imported."""
    return sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("[!_]*.py"))


def get(name: str) -> Metric:
    """The metric's module: its CARD and compute. UsageError with the nearest name when there is none."""
    plain = name.strip().lower().replace("_", "-")
    if plain not in names():
        raise UsageError(f"unknown metric {name!r}{_nearest(plain, names())}; `audiosim explain` lists them all")
    module: Any = import_module(f".{plain.replace('-', '_')}", __name__)
    return module  # type: ignore[no-any-return]


@cache
def options(name: str) -> dict[str, Option]:
    """The metric's options in the order of its signature."""
    compute = get(name).compute
    hints = get_type_hints(compute, include_extras=True)
    found = {}
    for parameter in inspect.signature(compute).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.name in RESERVED:
            continue
        hint = hints[parameter.name]
        text = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, str)), "")
        kind = hint.__origin__ if hasattr(hint, "__metadata__") else hint
        if get_origin(kind) in (Union, UnionType):  # None is not to be typed
            kind = next(k for k in get_args(kind) if k is not type(None))
        found[parameter.name] = Option(parameter.name, kind, parameter.default, text)
    return found


def parse(text: str, otherwise: Mapping[str, Any] | None = None) -> Spec:
    """`name` or `name:option=value,option=value` (a bare option means =true) as a Spec; else UsageError.

    otherwise: options for a metric that has them and is not given them in the text.
    """
    name, _, rest = text.strip().partition(":")
    name = name.strip().lower().replace("_", "-")
    get(name)
    known = options(name)
    given: dict[str, Any] = {}
    for item in filter(None, (i.strip() for i in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        key = key.replace("-", "_")
        if key not in known:
            raise UsageError(f"{name} has no option {key!r}{_nearest(key, list(known))}; it has: {', '.join(known)}")
        if key in given:
            raise UsageError(f"option {key!r} of {name} is given twice")
        given[key] = _value(name, known[key], value if equals else "true")
    return Spec(text, name, {k: v for k, v in (otherwise or {}).items() if k in known} | given)


def _value(metric: str, option: Option, text: str) -> Any:
    kind = option.type
    if option.default is None and text.lower() == "none":
        return None
    if option.choices:
        if text not in map(str, option.choices):
            allowed = ", ".join(map(str, option.choices))
            raise UsageError(
                f"{metric}: {option.name}={text} is not possible{_nearest(text, list(map(str, option.choices)))}; "
                f"one of: {allowed}"
            )
        return next(c for c in option.choices if str(c) == text)
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
            raise UsageError(f"{metric}: {option.name} is true or false, not {text!r}")
        return text.lower() in ("true", "1", "yes", "on")
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            raise UsageError(
                f"{metric}: {option.name} must be a {'whole ' if kind is int else ''}number, not {text!r}"
            ) from None
        if not abs(number) < float("inf"):
            raise UsageError(f"{metric}: {option.name} must be finite")
        return number
    return text


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
