"""Small networks of our own in the place of the trained ones, with the same inputs and outputs, which
rate by level and by how even the spectrum is. So tests need neither weights nor onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def network(path: Path) -> Any:
    """That of a model of this name, which stands for the file."""
    return NETWORKS[Path(path).stem]  # by the models that they stand for


def _rating(*features: float) -> float:
    """Between 1 and 5."""
    return float(3 + 2 * np.tanh(np.mean(features)))


def _p835(inputs: Mapping[str, Array], outputs: Any = None) -> list[Array]:
    x = inputs["input_1"]
    assert x.shape == (1, 144160)
    assert x.dtype == np.float32
    power = np.abs(np.fft.rfft(x[0].astype(float)[:16384])) ** 2 + 1e-9
    level, tilt = np.log10(power.mean()), np.log(power[:2048].mean() / power[2048:].mean())
    return [np.array([[_rating(level, tilt / 5), _rating(-level), _rating(level / 2)]], np.float32)]


def _p808(inputs: Mapping[str, Array], outputs: Any = None) -> list[Array]:
    x = inputs["input_1"]
    assert x.shape == (1, 900, 120)
    assert x.dtype == np.float32
    return [np.array([[_rating(x.mean(), x.std())]], np.float32)]


def halves(path: Path, tensor: str) -> Any:
    """Those of PLCMOS."""

    def hear(inputs: Mapping[str, Array]) -> list[Array]:
        x = inputs["degraded_audio"]
        assert x.shape[::3] == (1, 257)
        assert x.dtype == np.float32
        return [np.full((2, 1, 3), np.mean([x.mean() / 10, x.std()]), np.float32)]

    def judge(inputs: Mapping[str, Array]) -> list[Array]:
        heard, raters = inputs[tensor], inputs["rater_embed"]
        assert heard.shape == (2, len(raters), 3)
        assert raters.shape == (15, 64)
        assert heard.dtype == raters.dtype == np.float32
        return [np.array([_rating(x.mean(), 0.1 * y.mean()) for x, y in zip(heard[0], raters, strict=True)])]

    return hear, judge


def _musicnn(inputs: Mapping[str, Array], outputs: Any = None) -> list[Array]:
    """200 numbers of a patch: one that never is 0, the means of the bands, and how much they vary in time."""
    (x,) = inputs["patch"]
    assert x.shape == (187, 96)
    assert x.dtype == np.float32
    return [np.concatenate([np.ones(8), x.mean(0), x.std(0)])[None].astype(np.float32)]


NETWORKS = {
    "dnsmos-p835": _p835,
    "dnsmos-p808": _p808,
    "musicnn-mtt": _musicnn,
}
