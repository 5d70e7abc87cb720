"""Time and memory of the neighbours in a large collection, of features that are made up: no recording is decoded.

python -m tests.benchmarks.neighbours [ITEMS [QUERIES]] [METRIC[/SCALING] ...]
"""

from __future__ import annotations

import resource
import sys
from time import process_time

import numpy as np

from audiosim import metrics
from audiosim.collection import neighbours, space
from audiosim.dsp import gaussians
from audiosim.engine.threads import cores

MADE = {"timbre-kl": (20, gaussians.with_inverse), "timbre-js": (25, gaussians.with_log_determinant)}
MIB = 1024 if sys.platform != "darwin" else 1024**2


def features(name: str, items: int) -> np.ndarray:
    """Gaussians of d dimensions around a hundred of them."""
    d, complete = MADE[name]
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(100, d))
    spread = rng.uniform(0.5, 2.0, (100, d))
    rows = []
    for i in range(items):
        points = centres[i % 100] + 0.3 * rng.normal(size=d) + spread[i % 100] * rng.normal(size=(2 * d, d))
        rows.append(complete(gaussians.fit(points, 1e-2), d))
    return np.array(rows)


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def main(items: int, queries: int, names: list[str]) -> None:
    """Print a table. Of fewer queries than items, CPU seconds of all of them are estimated."""
    print("metric scaling items scaling_cpu_s queries_cpu_s features_MiB peak_MiB hubness")
    for asked in names:
        name, _, only = asked.partition("/")
        rows = features(name, items)
        metric = metrics.get(name)

        def between(point, to, rows=rows, metric=metric):
            return metric.distances(rows[point], rows[to])

        between(0, slice(0, 2))  # compiles
        whole = space.Space(items, items, between)
        for scaling in (only,) if only else ("none", "mp", "mp-empiric", "nicdm"):
            begun = process_time()
            fit = space.scaling(scaling, whole, cores())
            fitted = process_time()
            found = neighbours.find(whole, range(queries), 10, fit, threads=cores())
            done = (process_time() - fitted) * items / queries
            size, hubs = rows.nbytes / 2**20, f"{found.hubness:.2f}" if queries == items else "-"
            print(name, scaling, items, f"{fitted - begun:.1f} {done:.1f} {size:.0f} {peak():.0f}", hubs, flush=True)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    words = [word for word in sys.argv[1:] if not word.isdecimal()]
    main(numbers[0] if numbers else 10_000, numbers[-1] if numbers else 10_000, words or list(MADE))
