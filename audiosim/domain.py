"""Is a pair like those by which a metric was judged or tuned? A summary of these is stored for each metric whose card
has a domain: tables/domain_<metric>.json, which holds statistics and no recordings.

The metric puts a pair in its place: numbers by name. Rules bound some of them, such as the length in seconds. Others
are features, in which distance is Mahalanobis' with a covariance shrunk as by Ledoit and Wolf 2004 (Journal of
Multivariate Analysis 88, 365-411). The distance is held against calibrated ones: those of pairs to a summary made
without the set of recordings that they belong to (split conformal prediction: Vovk, Gammerman and Shafer 2005), so that
p is at most 0.05 for one in 20 pairs of a new set of the same kinds. That holds on average over sets, not for each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .result import Domain

Array = NDArray[Any]

UNFAMILIAR = 0.05  # p below which a pair is unlike the known ones
FOREIGN = 2.0  # times the largest calibrated distance
FILE = "domain_{}.json"


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """rules: least and greatest of what is allowed, None where there is no bound. centre [feature]; precision [feature,
    feature], the inverse of the covariance. calibrated: distances, ascending [n], each of which stands for as many
    pairs."""

    rules: Mapping[str, tuple[float | None, float | None]]
    features: tuple[str, ...]
    centre: Array
    precision: Array
    calibrated: Array

    def judge(self, place: Mapping[str, float]) -> tuple[Domain, float]:
        """What the pair is, and p: the share of the calibrated distances that are as large, itself counted."""
        far = self.distance(np.array([place[name] for name in self.features]))
        n = len(self.calibrated)
        p = float(1 + n - np.searchsorted(self.calibrated, far)) / (n + 1)
        broken = self.broken(place)
        if broken or far > FOREIGN * self.calibrated[-1]:
            return "foreign", 1 / (n + 1) if broken else p
        return "unfamiliar" if p < UNFAMILIAR else "ok", p

    def distance(self, features: Array) -> Any:
        """Of features [..., feature] from the known pairs [...]."""
        off = features - self.centre
        return np.sqrt(np.einsum("...i,ij,...j->...", off, self.precision, off))

    def broken(self, place: Mapping[str, float]) -> list[str]:
        """Names of the rules that the pair breaks."""
        return [
            name
            for name, (low, high) in self.rules.items()
            if not (low is None or place[name] >= low) or not (high is None or place[name] <= high)
        ]


@cache
def summary(metric: str) -> Summary:
    """That of a metric of audiosim."""
    file = resources.files("audiosim.tables").joinpath(FILE.format(metric))
    stored = json.loads(file.read_text(encoding="utf-8"))
    arrays = {name: np.array(stored[name]) for name in ("centre", "precision", "calibrated")}
    rules = {name: (low, high) for name, (low, high) in stored["rules"].items()}
    return Summary(rules, tuple(stored["features"]), **arrays)
