"""What is asked of code from outside audiosim while it runs: errors in one line, no printing, a card that is true."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from math import isfinite

import numpy as np

from .answer import Channel
from .card import Card
from .errors import MetricError
from .result import Result


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Around code of a metric from outside: whatever it raises is a MetricError in one line, and so is printing."""
    try:
        with silent("it"):
            yield
    except MetricError as known:
        raise MetricError(f"{name}: {known}") from None
    except Exception as wrong:  # noqa: BLE001  whatever it does
        raise MetricError(f"{name}: {told(wrong)}") from None


@contextmanager
def silent(who: str) -> Iterator[None]:
    written = io.StringIO()
    with redirect_stdout(written):
        yield
    if written.getvalue():
        raise MetricError(f"{who} prints to standard output, where results go: {written.getvalue().strip()[:40]!r}")


def told(wrong: Exception) -> str:
    line = " ".join(str(wrong).split())
    return f"{type(wrong).__name__}: {line}" if line else type(wrong).__name__


_examined: set[tuple[str, str]] = set()


def examine(name: str, sha256: str, card: Card, measured: Callable[..., Result]) -> None:
    """On first use, hold a metric from outside to the plainest words of its card: what two identical files score, the
    range, and that noise is no better. MetricError where it does not. check_metric of audiosim.testing asks for more.

    sha256: of its source. measured(ref, test, rate): its Result.
    """
    key = name, sha256
    if key in _examined:
        return
    rate = card.rate or 48000
    length = int(rate * max(0.5, 1.3 * card.shortest * (2.5 if card.pauses else 1)))
    noise = np.random.default_rng(0).standard_normal((2, length))
    ref = 0.1 * noise[:1]
    same, other = (measured(ref, test, rate) for test in (ref.copy(), ref + 0.03 * noise[1:]))
    for files, r in (("two identical files", same), ("a file with noise", other)):
        if r.status == "undefined":
            raise MetricError(f"it has no value for {files}: {r.reason}")
        if not card.range[0] <= r.value <= card.range[1]:
            raise MetricError(f"{files} score {r.value:g}, which is out of the card's range {_range(card.range)}")
    if card.identical is not None and same.value != card.identical:
        raise MetricError(f"its card says that identical files score {card.identical:g}, they score {same.value:g}")
    if not card.non_intrusive and _better(other, same, card.better) > card.identity_tolerance:
        raise MetricError(
            f"a file with noise scores {other.value:g} and an identical one {same.value:g}, "
            f"but its card says that {card.better} is better"
        )
    _examined.add(key)


def _better(a: Result, b: Result, better: str) -> float:
    """By how much a is better than b."""
    if not (isfinite(a.value) or isfinite(b.value)):
        return 0.0
    return b.value - a.value if better == "lower" else a.value - b.value


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def check_channel(channel: object) -> None:
    """MetricError for what no measure may return."""
    if not isinstance(channel, Channel):
        raise MetricError(f"measure returns an audiosim.answer.Channel, not {type(channel).__name__}")
    if channel.value != channel.value and not channel.reason:
        raise MetricError("measure returns NaN without a reason; where there is no value, give Channel(reason=...)")
