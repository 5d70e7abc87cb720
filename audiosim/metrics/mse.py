"""stub while the engine is being built"""
from __future__ import annotations
from typing import Annotated, Any, Literal
import numpy as np
from ..card import Card
from ..result import Channel, Result, pool

CARD = Card(title="Mean squared error", family="conventional", unit="1", better="lower", identical=0.0,
    formula="mean (test - ref)^2", source="textbook", conventions="none", silence="defined", caveat="deaf to what people hear",
    symmetric=True, triangle=False, gradient="exact", profile="local", map="sum")

def compute(ref: Any, test: Any, rate: int, *, weighting: Annotated[Literal["none", "hp"], "pre-emphasis"] = "none",
            coef: Annotated[float, "coefficient of hp"] = 0.85,
            detail: str = "value", band_edges: Any = None, jobs: int = 1) -> Result:
    out = []
    for r, t in zip(ref, test):
        e = (t - r).astype(float)
        if detail == "value":
            out.append(Channel(value=float(np.mean(e * e)))); continue
        n = 1024; F = -(-len(e) // n); p = np.zeros(F * n); p[: len(e)] = e
        Z = np.abs(np.fft.rfft(p.reshape(F, n))) ** 2 / n; Z[:, 1:-1] *= 2
        edges = np.linspace(0, 513, 33).astype(int)
        m = np.add.reduceat(Z, edges[:-1], axis=1)
        hz = edges * rate / n
        out.append(Channel(value=float(np.mean(e * e)), per_band=m.sum(0) / len(e), per_time=m.sum(1) / n, edges=hz,
            bands=(hz[1:] + hz[:-1]) / 2, times=(np.arange(F) + .5) * n / rate, map=m / len(e) if detail == "map" else None))
    return pool(out)
