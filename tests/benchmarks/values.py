"""Every number of every metric, before a change and after it: `python -m tests.benchmarks.values record FILE`, then
`python -m tests.benchmarks.values compare FILE`, which exits with 1 when one differs.

All metrics, with each choice of each option, on samples/: value, per_channel, profiles, map, details, status; by
torch, value and gradient. Each array is recorded as its sum, its sum with seeded weights and its shape.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import audiosim
from audiosim import metrics
from audiosim.errors import AudiosimError

SAMPLES = Path(__file__).parents[2] / "samples"
FIELDS = ("per_channel", "per_band", "per_time", "bands", "edges", "times", "map", "added")
SECONDS = {"music": 2.0, "speech": 3.3}
CLOSE = 1e-12  # what rounding may move


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("-m", "--metric", action="append", help="only these")
    given = parser.parse_args()
    found = {}
    for spec, pair in cases(given.metric):
        found.update(measured(spec, pair))
    if given.what == "record":
        given.file.write_text(json.dumps(found, indent=0))
        print(f"{len(found)} numbers")
        return 0
    known = json.loads(given.file.read_text())
    if given.metric:
        known = {k: v for k, v in known.items() if k.split(" ")[0].partition(":")[0] in given.metric}
    differ = rounded = 0
    for key in sorted(known.keys() | found.keys()):
        a, b = known.get(key), json.loads(json.dumps(found.get(key)))
        if a == b:
            continue
        close = distance(a, b)
        rounded += close <= CLOSE
        differ += close > CLOSE
        print(f"{'rounding' if close <= CLOSE else 'DIFFERS'} {close:.1e} {key}: {a} -> {b}")
    print(f"{len(known)} recorded, {len(found)} found: {differ} differ, {rounded} by rounding")
    return int(differ > 0)


def cases(only: list[str] | None) -> Iterator[tuple[str, str]]:
    """(spec, pair) of all metrics: defaults, and each choice of each option by itself."""
    for name in only or metrics.names():
        card = metrics.get(name).card
        pairs = ["speech"] if card.rate == 16000 or card.rate is None else []
        pairs += ["music"] if card.rate != 16000 else []
        for pair in pairs:
            yield name, pair
        for option in metrics.options(name).values():
            if option.name == "mid_side" and "music" not in pairs:
                continue
            for choice in option.choices or ((True, False) if option.type is bool else ()):
                if choice != option.default:
                    yield f"{name}:{option.name}={choice}", "music" if option.name == "mid_side" else pairs[0]


def measured(spec: str, pair: str) -> dict[str, Any]:
    """{"spec pair field": numbers}."""
    found: dict[str, Any] = {}

    def put(field: str, value: Any) -> None:
        found[f"{spec} {pair} {field}"] = value

    parsed = metrics.parse(spec)
    metric = metrics.get(parsed.name)
    card = metric.card
    ref, test = signals(pair, card.rate, getattr(card, "shortest", 0.0))
    try:
        result = audiosim.compare(ref, test, spec, detail="map", length="trim")[spec]
        plain = audiosim.compare(ref, test, spec, length="trim")[spec]
    except AudiosimError as refused:
        put("refused", type(refused).__name__)
        return found
    put("value", result.value)
    put("plain value", plain.value)
    put("status", result.status)
    put("reason", result.reason)
    put("unit", result.unit)
    put("details", {k: float(v) for k, v in sorted(result.details.items())})
    for field in FIELDS:
        put(field, fingerprint(getattr(result, field)))
    if card.gradient == "none":
        return found
    import torch

    try:
        loss = audiosim.Loss(spec, ref.rate, reduction="none")
    except AudiosimError as refused:
        put("loss refused", type(refused).__name__)
        return found
    length = min(ref.length, test.length)
    for kind in (np.float32, np.float64):
        r, t = (torch.as_tensor(np.array(x.samples[None, :, :length], kind)) for x in (ref, test))
        for needs in ("test", "both"):
            if needs == "both" and kind is np.float32:
                continue
            x, y = r.clone().requires_grad_(needs == "both"), t.clone().requires_grad_()
            value = loss(y, x)
            value.sum().backward()
            put(f"loss {kind.__name__} {needs}", value.tolist())
            put(f"gradient {kind.__name__} {needs}", fingerprint(y.grad.numpy()))
            if needs == "both":
                put("gradient of ref", fingerprint(None if x.grad is None else x.grad.numpy()))
    return found


def signals(pair: str, rate: int | None, shortest: float) -> tuple[Any, Any]:
    from audiosim.dsp import resampling

    both = [audiosim.load(SAMPLES / f"{pair}{end}.flac") for end in ("", "_degraded")]
    both = [s if rate in (None, s.rate) else resampling.to_rate(s, rate) for s in both]
    seconds = max(SECONDS[pair], 3 * shortest)
    return tuple(audiosim.Signal.of(s.samples[:, : int(seconds * s.rate)], s.rate, s.name) for s in both)  # type: ignore[return-value]


def fingerprint(values: Any) -> list[float] | None:
    """[length of the array, its sum, its sum with seeded weights, what is nan]."""
    if values is None:
        return None
    x = np.asarray(values, np.float64).ravel()
    missing = ~np.isfinite(x)
    x = np.where(missing, 0, x)
    return [
        x.size,
        float(np.abs(x).sum()),
        float(np.random.default_rng(0).standard_normal(x.size) @ x),
        int(missing.sum()),
    ]


def distance(a: Any, b: Any) -> float:
    """The largest relative difference; infinite where the kinds differ."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return max((distance(a[k], b[k]) for k in a), default=0.0)
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        scale = abs(a[1]) if len(a) == 4 else 0.0  # a weighted sum is as exact as its array is large
        return max(
            (
                distance(p, q) if i != 2 else abs(p - q) / (scale or 1)
                for i, (p, q) in enumerate(zip(a, b, strict=True))
            ),
            default=0.0,
        )
    if isinstance(a, int | float) and isinstance(b, int | float):
        if a == b or (a != a and b != b):
            return 0.0
        return abs(a - b) / max(abs(a), abs(b))
    return 0.0 if a == b else float("inf")


if __name__ == "__main__":
    sys.exit(main())
