"""`audiosim warm`: kernels compiled ahead, by comparing two sounds that nobody hears."""

from __future__ import annotations

from collections.abc import Sequence

from .. import metrics
from ..comparison import Detail
from ..config import Settings
from ..errors import ExitCode
from ..results import compare
from .compare import announce_compilation, panel, say

RATE, SECONDS = 48000, 4
DETAILS: tuple[Detail, ...] = ("value", "map")


def run(names: Sequence[str], settings: Settings) -> ExitCode:
    """Compile, and say what could not be; every other metric is compiled."""
    wanted = list(names or panel(settings))
    if wanted == ["all"]:  # but for those that need weights, which are not compiled
        wanted = metrics.without_weights()
    for spec in wanted:
        metrics.parse(spec)
    announce_compilation(settings.quiet, each=bool(settings.verbose))
    from ..signal import Signal
    from ..testing import signals

    failed: dict[str, str] = {}
    for channels in (1, 2):
        ref = signals.speech_like(RATE, SECONDS, seed=1, channels=channels)
        test = ref + 0.1 * signals.pink(RATE, SECONDS, seed=2, channels=channels)
        first, second = (Signal(x.astype("float32"), RATE) for x in (ref, test))
        for detail in DETAILS:
            for spec, result in compare(first, second, wanted, detail=detail).items():
                if result.status == "error":
                    failed.setdefault(spec, result.reason or "")
    for spec, reason in failed.items():
        say(f"{spec} could not be compiled: {reason}")
    return ExitCode.METRIC if failed else ExitCode.OK
