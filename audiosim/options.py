"""Options of a metric: a frozen dataclass whose annotations say what is legal, and what each option is for.

    class Options(Weighted):
        taps: Annotated[int, Within(1, 4096), "length of the allowed filter"] = 512

The command line, the card, the man page and the errors read the type, the legal values and the sentence from here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from inspect import get_annotations
from math import inf, isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class Within:
    """Legal values of a number: low to high, without the ends that are open."""

    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low, high = (f"{x:.0f}" if 1e6 <= abs(x) < 1e9 else f"{x:g}" for x in (self.low, self.high))
        low = ("above " if self.open_low else "") + low
        if self.high == inf:
            return low if self.open_low else f"{low} or more"
        if self.low == -inf:
            return ("below " if self.open_high else "") + high + ("" if self.open_high else " or less")
        return f"{low} to " + ("below " if self.open_high else "") + high


ABOVE_ZERO = Within(0, open_low=True)
AT_LEAST_ZERO = Within(0)
AT_LEAST_ONE = Within(1)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: the type of its values, its default, its legal values where they are numbers, and a sentence."""

    name: str
    type: Any
    default: Any
    help: str
    within: Within | None = None
    optional: bool = False  # None is a value

    @property
    def choices(self) -> tuple[Any, ...]:
        return _choices(self.type)

    @property
    def legal(self) -> str:
        """What may be given, in words: "a, b or c", "true or false", "0 to 1", "a whole number, 1 or more"."""
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        if self.type is bool:
            return "true or false"
        kind = {int: "a whole number", float: "a number"}.get(self.type, "text")
        none = "none, or " if self.optional else ""
        return none + (f"{kind}, {self.within}" if self.within else kind)

    def read(self, text: str) -> Any:
        """The value that a user typed; UsageError where it is none."""
        if self.optional and text.lower() == "none":
            return None
        if self.choices:
            for choice in self.choices:
                if str(choice) == text:
                    return choice
            raise UsageError(
                f"{self.name}={text} is not possible{nearest(text, list(map(str, self.choices)))}; one of: "
                + ", ".join(map(str, self.choices))
            )
        if self.type is bool:
            if text.lower() not in TRUE + FALSE:
                raise UsageError(f"{self.name} is true or false, not {text!r}")
            return text.lower() in TRUE
        if self.type in (int, float):
            try:
                value = self.type(text)
            except ValueError:
                whole = "whole " if self.type is int else ""
                raise UsageError(f"{self.name} must be a {whole}number, not {text!r}") from None
            self.check(value)
            return value
        return text

    def check(self, value: Any) -> None:
        """UsageError for a value that is not legal."""
        if value is None and self.optional:
            return
        if self.choices:
            if value not in self.choices or isinstance(value, bool):
                raise UsageError(f"{self.name} is {self.legal}, not {value!r}")
            return
        if self.type is bool or self.type is str:
            if not isinstance(value, self.type):
                raise UsageError(f"{self.name} is {self.legal}, not {value!r}")
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UsageError(f"{self.name} is {self.legal}, not {value!r}") from None
        if not isfinite(number):
            raise UsageError(f"{self.name} must be finite, not {number:g}")
        if self.type is int and number != int(number):
            raise UsageError(f"{self.name} must be a whole number, not {number:g}")
        if self.within and number not in self.within:
            raise UsageError(f"{self.name} must be {self.within}, not {number:g}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a metric may be told. Subclasses are frozen dataclasses too; every field has a default.

    UsageError on construction for a value that is not legal, or for values that do not go together.
    """

    def __post_init__(self) -> None:
        for name, option in described(type(self)).items():
            option.check(getattr(self, name))
        self.check()

    def check(self) -> None:
        """UsageError where the options do not go together."""

    @property
    def resampled_to(self) -> int | None:
        """Hz at which these options want the recordings, before they are weighted; None: as they are."""
        return None

    @property
    def lengths(self) -> Literal["equal", "any"] | None:
        """Whether recordings may be of different lengths under these options; None: as the card says."""
        return None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that values depend on besides the recordings, such as the weights of a network, as far as they are
        there."""
        return ()

    @property
    def value_unit(self) -> str | None:
        """The unit that these options give the value; None: the card's."""
        return None

    @property
    def value_better(self) -> Literal["lower", "higher"] | None:
        """Which values are better under these options; None: as the card says."""
        return None


@cache
def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def described(options: type[Options]) -> Mapping[str, Option]:
    """The options by name: those of the class itself first, then those that it inherits."""
    return _described_once(options)  # type: ignore[arg-type]  # mypy takes the hash of instances for that of the class


@cache
def _described_once(options: Any) -> Mapping[str, Option]:
    hints = get_type_hints(options, include_extras=True)
    defaults = {f.name: f.default for f in fields(options)}
    names = [name for kind in options.__mro__ for name in get_annotations(kind) if name in defaults]
    return {name: _described(name, hints[name], defaults[name]) for name in dict.fromkeys(names)}


def _described(name: str, hint: Any, default: Any) -> Option:
    extras = getattr(hint, "__metadata__", ())
    kind = hint.__origin__ if extras else hint
    optional = get_origin(kind) in (Union, UnionType)
    if optional:
        kind = next(k for k in get_args(kind) if k is not type(None))
    text = next((m for m in extras if isinstance(m, str)), "")
    within = next((m for m in extras if isinstance(m, Within)), None)
    return Option(name, kind, default, text, within, optional)


def nearest(name: str, known: Sequence[str], cutoff: float = 0.5) -> str:
    """ ", did you mean X?" for a message, or nothing. cutoff: the least similarity, from 0 to 1."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f", did you mean {near[0]!r}?" if near else ""
