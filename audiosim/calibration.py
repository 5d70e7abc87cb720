"""A summary of a user's own recordings, by which the guard of a metric then goes (domain)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import audio, domain, metrics
from .batch import pairing
from .dsp.resampling import to_rate
from .errors import InputError, NothingToCompare, UsageError


@dataclass(frozen=True, slots=True)
class Calibrated:
    """file: where the summary is. recordings, groups: of how many it is. unread: a line on each that is not in it."""

    file: Path
    recordings: int
    groups: int
    unread: tuple[str, ...]


def calibrate(
    name: str,
    folder: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Make a summary of the recordings below a folder for the metric, and keep it: from now on Result.domain says of
    its values whether a recording is like these. Recordings in one folder below it, such as a speaker's, are calibrated
    by those in others; where there are no such folders, each recording by all others.

    Raises UsageError for a metric that has no domain of single recordings, NothingToCompare for fewer than 20 of them.
    """
    if metrics.get(name).card.domain != domain.SPEECH:
        known = [n for n in metrics.own_names() if metrics.get(n).card.domain == domain.SPEECH]
        raise UsageError(f"{name} has no domain of single recordings, which only these have: {', '.join(known)}")
    files, _ = pairing.recordings(folder, include, exclude)
    found, parts, groups, unread = [], [], [], []
    for done, (own, path) in enumerate(files.items(), 1):
        try:
            signal = audio.load(path)
            if signal.rate < domain.LEAST_RATE:
                raise InputError(f"{own}: {signal.rate} Hz, but {domain.LEAST_RATE} are the least")
            x = to_rate(signal, domain.LEAST_RATE).samples.mean(0, dtype=float)
            looked = domain.recording(x, domain.LEAST_RATE)
            if not len(looked.points):
                raise InputError(f"{own}: is silent")
        except InputError as problem:
            unread.append(str(problem))
        else:
            found.append(looked)
            parts.append(domain.pieces(x, domain.LEAST_RATE))
            groups.append(str(PurePosixPath(own).parent))
        if progress is not None:
            progress(done, len(files))
    if len(set(groups)) < 2:
        groups = [str(i) for i in range(len(found))]
    if len(found) < domain.LEAST:
        raise NothingToCompare(
            f"{audio.display_name(folder)}: {len(found)} recordings that can be used; {domain.LEAST} are the least"
        )
    about = f"audiosim models calibrate {name}: {len(found)} recordings"
    file = domain.keep(name, domain.fitted(found, groups, parts), about)
    return Calibrated(file, len(found), len(set(groups)), tuple(unread))
