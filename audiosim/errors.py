"""Errors a user can fix, and the exit code of each.

Every message is one line that says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class ExitCode(IntEnum):
    """Exit status of ``audiosim``. When several apply: 70 > 2 > 3 > 1 > 4 > 5."""

    OK = 0
    GATE = 1
    USAGE = 2
    INPUT = 3
    METRIC = 4
    NOTHING = 5
    INTERNAL = 70
    INTERRUPTED = 130
    PIPE = 141

    @property
    def meaning(self) -> str:
        """One line for the man page."""
        return _MEANING[self]


_MEANING = {
    ExitCode.OK: "compared, and every gate held",
    ExitCode.GATE: "a gate (--require) failed",
    ExitCode.USAGE: "wrong usage: an unknown option, metric or value",
    ExitCode.INPUT: "an input cannot be read, or the two cannot be compared under the policies",
    ExitCode.METRIC: "a metric failed on valid input",
    ExitCode.NOTHING: "nothing to compare",
    ExitCode.INTERNAL: "an internal error; please report it",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.PIPE: "the reader of the output closed the pipe",
}

_PRECEDENCE = (ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.INPUT, ExitCode.GATE, ExitCode.METRIC, ExitCode.NOTHING)


def worst(codes: list[ExitCode]) -> ExitCode:
    """The one code to exit with when several apply."""
    return next((code for code in _PRECEDENCE if code in codes), ExitCode.OK)


class AudiosimError(Exception):
    """Root of all errors that audiosim raises on purpose."""

    exit_code = ExitCode.INTERNAL


class UsageError(AudiosimError, ValueError):
    """An unknown metric, option, value or policy."""

    exit_code = ExitCode.USAGE


class MissingExtra(UsageError, ImportError):
    """A feature needs packages that are not installed."""


class MissingModel(UsageError):
    """The weights of a trained model are not where they were looked for."""


class FullScaleWarning(UserWarning):
    """Samples run beyond full scale, 1.0; the first time in a process that this is seen."""


class InputError(AudiosimError, ValueError):
    """A recording that cannot be read, or two that cannot be compared under the policies in force."""

    exit_code = ExitCode.INPUT


class Mismatch(InputError):
    """Two recordings that differ in what the policies in force do not let change.

    flags: of the command line, with values that let it change.
    """

    def __init__(self, message: str, flags: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.flags = dict(flags)

    @staticmethod
    def mended(flags: Mapping[str, str]) -> str:
        """As they are typed."""
        return " ".join(f"--{flag} {value}" for flag, value in flags.items())


class MetricError(AudiosimError, RuntimeError):
    """A metric failed although its input was valid."""

    exit_code = ExitCode.METRIC


class NothingToCompare(AudiosimError, ValueError):
    """There is no pair, or no metric, to compare."""

    exit_code = ExitCode.NOTHING
