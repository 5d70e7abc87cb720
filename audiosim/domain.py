"""Is a sound like those by which a metric was judged or tuned? A summary of these is stored for each metric whose card
has a domain: tables/domain_<metric>.json, or domain_speech.json, which hold statistics and no recordings. It tells that
a sound is of another kind, not that the value is wrong.

Either a metric puts a pair in its place: numbers by name (auditory). Or its card says SPEECH, and one recording is held
against recordings of speech: the test, where it alone is judged, else the reference, because what was done to the test
is what the metric judges.

Rules bound some numbers, such as the length in seconds. Others are features, in which distance is Mahalanobis' with a
covariance shrunk as by Ledoit and Wolf 2004 (Journal of Multivariate Analysis 88, 365-411); of a recording these are
statistics of auditory bands, and it lies as far out as its windows of 1 s in the mean. The distance is held against
calibrated ones: those of sounds to a summary made without the set, or the speaker, that they belong to (split conformal
prediction: Vovk, Gammerman and Shafer 2005), one score for each recording, so that p is at most 0.05 for one in 20
sounds of a new set of the same kinds. That holds on average over sets, not for each. The mean over few windows varies
more, so short recordings are held against pieces of the known ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import dsp, hearing
from .errors import UsageError
from .result import Domain

Array = NDArray[Any]

UNFAMILIAR = 0.05  # p below which a pair is unlike the known ones
FOREIGN = 2.0  # times the largest calibrated distance
FILE = "domain_{}.json"
SPEECH = "speech: single recordings, sampled at 16 kHz or more"  # of a card: recordings, not pairs, are looked at
LEAST_RATE = 16000  # Hz: below it a recording is not looked at
TOP = 7500.0  # Hz: bands up to here count
FLOOR = 1e-4  # of their levels
KINDS = "deviation", "movement", "quiet", "rise"  # of their statistics
FOLDS = 10  # parts at most in which groups of recordings are left out
LEAST = 20  # recordings, from which p can fall below UNFAMILIAR
PEAK = 0.9  # of the peak: samples beyond it are clipped, if they are many
UPPER = 4500.0  # Hz: what lies above tells the bandwidth
PIECES = 1.0, 2.0, 4.0  # s: by these recordings are calibrated that are shorter than twice the longest
DRAWN = 2  # pieces of a recording, of which the one that is further out calibrates
TRIES = 20  # at pieces that are not silent

Rules = Mapping[str, tuple[float | None, float | None]]


class Pieces(NamedTuple):
    """What pieces of recordings are like. Of how many seconds they are, and their rules and distances as in Summary."""

    seconds: float
    rules: Rules
    calibrated: Array


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """rules: least and greatest of what is allowed, None where there is no bound. centre [feature]; precision [feature,
    feature], the inverse of the covariance. calibrated: distances, ascending [n], each of which stands for as many
    pairs. pieces: for short recordings, the shortest first; none: all are held against whole ones."""

    rules: Rules
    features: tuple[str, ...]
    centre: Array
    precision: Array
    calibrated: Array
    pieces: tuple[Pieces, ...] = ()

    def judge(self, place: Mapping[str, float], points: Array | None = None) -> tuple[Domain, float]:
        """What the sound is, and p: the share of the calibrated distances that are as large, itself counted.

        points: [window, feature] of a recording; None: the features are in the place.
        """
        x = np.array([[place[name] for name in self.features]]) if points is None else points
        calibrated = self._alike(place).calibrated
        n = len(calibrated)
        if self.broken(place) or not len(x):
            return "foreign", 1 / (n + 1)
        far = self.score(x)
        p = float(1 + n - np.searchsorted(calibrated, far)) / (n + 1)
        if far > FOREIGN * calibrated[-1]:
            return "foreign", p
        return "unfamiliar" if p < UNFAMILIAR else "ok", p

    def score(self, points: Array) -> float:
        """How far out points [window, feature] lie in the mean."""
        return float(self.distance(points).mean())

    def distance(self, features: Array) -> Any:
        """Of features [..., feature] from the known pairs [...]."""
        off = features - self.centre
        return np.sqrt(np.einsum("...i,ij,...j->...", off, self.precision, off))

    def broken(self, place: Mapping[str, float]) -> list[str]:
        """Names of the rules that the pair breaks."""
        return [
            name
            for name, (low, high) in self._alike(place).rules.items()
            if not (low is None or place[name] >= low) or not (high is None or place[name] <= high)
        ]

    def _alike(self, place: Mapping[str, float]) -> Summary | Pieces:
        """Of whole recordings, or of the longest pieces that are no longer than a short recording."""
        if not self.pieces or place["seconds"] >= 2 * self.pieces[-1].seconds:
            return self
        fitting = [pieces for pieces in self.pieces if pieces.seconds <= place["seconds"]]
        return fitting[-1] if fitting else self.pieces[0]


class Recording(NamedTuple):
    """What is looked at in a recording. place: numbers that rules bound. points: [window, feature]."""

    place: Mapping[str, float]
    points: Array


def recording(x: Array, rate: int) -> Recording:
    """Of x [sample] at rate Hz."""
    powers = hearing.band_statistics.band_powers(x, rate)
    sound = hearing.band_statistics.sounding(powers)
    place = {"seconds": x.size / rate, "level": -np.inf, "clipped": 0.0, "bandwidth": -np.inf}
    if sound.any():
        total = np.einsum("f,fb->b", sound.astype(float), powers) / np.count_nonzero(sound)
        upper = total[(hearing.band_statistics.centres() > UPPER) & (hearing.band_statistics.centres() <= TOP)].max()
        place["level"] = float(10 * np.log10(total.sum()))
        place["bandwidth"] = float(10 * np.log10(max(upper, 1e-30) / total.sum()))
        size = np.abs(x)
        place["clipped"] = float(np.count_nonzero(size > PEAK * size.max()) / x.size)
    points = hearing.band_statistics.of_powers(powers, KINDS, FLOOR, overwrite=True)
    return Recording(place, points[:, _kept()])


def pieces(x: Array, rate: int) -> dict[float, list[Recording]]:
    """Of x [sample] pieces of each of the lengths PIECES in seconds, at places drawn among those with sound; of a
    recording that is no longer none."""
    rng = np.random.default_rng(0)
    found: dict[float, list[Recording]] = {}
    for seconds in PIECES:
        size = int(seconds * rate)
        for _ in range(TRIES if x.size > size else 0):
            start = int(rng.integers(x.size - size + 1))
            one = recording(x[start : start + size], rate)
            if len(one.points):
                found.setdefault(seconds, []).append(one)
            if len(found.get(seconds, ())) == DRAWN:
                break
    return found


def features() -> tuple[str, ...]:
    """Names of the features of a recording."""
    return tuple(np.array(hearing.band_statistics.names(KINDS))[_kept()].tolist())


def _kept() -> Array:
    """Which statistics count [feature]."""
    return np.tile(hearing.band_statistics.centres() <= TOP, len(KINDS))


def _allowed(places: Sequence[Mapping[str, float]]) -> Rules:
    """The rules, which allow more than what recordings have: a quarter as short, ten times as long, 20 dB quieter, ten
    times as many samples near the peak, 15 dB less above 4.5 kHz."""
    least, most = ({name: end(p[name] for p in places) for name in places[0]} for end in (min, max))

    def short(x: float) -> float:
        return float(f"{x:.3g}")

    return {
        "seconds": (short(min(least["seconds"] / 4, 1.0)), short(max(10 * most["seconds"], 60.0))),
        "level": (short(least["level"] - 20), None),
        "clipped": (None, short(max(10 * most["clipped"], 0.01))),
        "bandwidth": (short(least["bandwidth"] - 15), None),
    }


def fitted(
    recordings: Sequence[Recording],
    groups: Sequence[Any],
    parts: Sequence[Mapping[float, Sequence[Recording]]] = (),
) -> Summary:
    """The summary of recordings. groups: what belongs together, such as the speaker of each; a recording is calibrated
    by a summary of others. Each recording has the same weight. parts: `pieces` of each of the recordings."""
    names, code = np.unique(np.array([str(g) for g in groups]), return_inverse=True)
    fold = (np.arange(len(names)) % min(FOLDS, len(names)))[np.random.default_rng(0).permutation(len(names))][code]

    def of(chosen: Array) -> Summary:
        some = [recordings[i].points for i in np.flatnonzero(chosen).tolist()]
        weights = np.concatenate([np.full(len(x), 1 / (len(x) * len(some))) for x in some])
        centre, covariance = dsp.covariance.shrunk(np.concatenate(some), weights)
        return Summary({}, features(), centre, np.linalg.inv(covariance), np.empty(0))

    scores = np.empty(len(recordings))
    of_pieces: dict[float, list[float]] = {}
    for k in np.unique(fold):
        rest = of(fold != k)
        for i in np.flatnonzero(fold == k).tolist():
            scores[i] = rest.score(recordings[i].points)
            for seconds, drawn in (parts[i] if parts else {}).items():
                of_pieces.setdefault(seconds, []).append(max(rest.score(piece.points) for piece in drawn))
    whole = of(np.ones(len(recordings), bool))
    places = [r.place for r in recordings]
    rules = _allowed(places)
    short = tuple(
        Pieces(
            seconds,
            {
                **_allowed([*places, *(r.place for of in parts for r in of.get(seconds, ()))]),
                "seconds": rules["seconds"],
            },
            np.sort(far),
        )
        for seconds, far in sorted(of_pieces.items())
        if len(far) >= LEAST
    )
    return Summary(rules, whole.features, whole.centre, whole.precision, np.sort(scores), short)


def stored(summary: Summary, about: str) -> str:
    """The summary of recordings as JSON; of the precision, which is symmetric, the lower triangle."""

    def short(x: Array) -> list[float]:
        return [float(f"{v:.6g}") for v in x]

    lower = [short(row[: i + 1]) for i, row in enumerate(summary.precision)]
    data = {"about": about, "rules": summary.rules, "features": summary.features}
    arrays = {"centre": short(summary.centre), "precision": lower, "calibrated": short(summary.calibrated)}
    pieces = [(piece.seconds, piece.rules, short(piece.calibrated)) for piece in summary.pieces]
    return json.dumps({**data, **arrays, "pieces": pieces}, separators=(",", ":")) + "\n"


def read(text: str) -> Summary:
    """A summary from JSON. ValueError or KeyError for what is none."""
    found = json.loads(text)
    rows = found["precision"]
    precision = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        precision[i, : len(row)] = row
        precision[: len(row), i] = row

    def bounds(rules: Mapping[str, Any]) -> Rules:
        return {name: (low, high) for name, (low, high) in rules.items()}

    pieces = tuple(Pieces(s, bounds(rules), np.array(far)) for s, rules, far in found.get("pieces", ()))
    return Summary(
        bounds(found["rules"]),
        tuple(found["features"]),
        np.array(found["centre"]),
        precision,
        np.array(found["calibrated"]),
        pieces,
    )


def folder() -> Path:
    """Where summaries of the user's own recordings are: `$XDG_DATA_HOME/audiosim/domains`."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()) / "audiosim" / "domains"


def keep(metric: str, known: Summary, about: str) -> Path:
    """Keep a summary of the user's own recordings for the metric; where. UsageError where it cannot be written."""
    file = folder() / FILE.format(metric)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(stored(known, about), encoding="utf-8")
        draft.replace(file)
    except OSError as broken:
        raise UsageError(f"{file}: cannot be written: {broken.strerror}") from None
    summary.cache_clear()
    return file


@cache
def summary(metric: str) -> Summary:
    """That of a metric of audiosim: the user's own, or the stored one, or that of speech."""
    file = source(metric)
    try:
        return read(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{file}: is no summary of recordings; make it anew with audiosim models calibrate") from None


def source(metric: str) -> Traversable:
    """The file with the summary of a metric."""
    own, tables = folder() / FILE.format(metric), resources.files("audiosim.tables")
    stored = (tables / FILE.format(name) for name in (metric, "speech"))
    return next(file for file in (own, *stored) if file.is_file())
