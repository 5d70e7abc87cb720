"""Cepstra compared in ways that need them all: with slopes, along a path, of all frames with all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audiosim import Loss, compare, dsp
from audiosim.engine import pairwise, stream
from audiosim.errors import InputError, UsageError
from audiosim.metrics import mfcc
from audiosim.testing.signals import noise, speech_like

RATE = 8000
SMALL = "n_fft=256,hop=128,bands=20,coefficients=8"
# python_speech_features 0.6, delta(feat, 2), and of its result again
FEATURES = [[0.0, 1.0], [2.0, -1.0], [5.0, 3.0], [4.0, 4.0], [9.0, 0.5], [7.0, 2.0]]
DELTA = [[1.2, 0.2], [1.3, 0.8], [2.0, 0.4], [1.4, 0.35], [0.7, -0.4], [0.4, -0.25]]
DELTA_DELTA = [[0.17, 0.1], [0.12, 0.05], [-0.09, -0.165], [-0.31, -0.29], [-0.42, -0.19], [-0.23, -0.105]]


def pair() -> tuple[Any, Any]:
    ref = speech_like(RATE, 0.6, 1)
    return ref, 0.7 * ref + noise(RATE, 0.6, 2) * 0.01


def cepstra(x: Any) -> Any:
    return mfcc.analysis(RATE, mfcc.Options(n_fft=256, hop=128, bands=20, coefficients=8)).cepstra(stream.plain(x[0]))


def value(ref: Any, test: Any, options: str) -> float:
    spec = f"mfcc:{SMALL},{options}"
    return compare(ref, test, spec, RATE, length="keep")[spec].value


def test_deltas_are_those_of_htk() -> None:
    found = dsp.cepstrum.with_deltas(np.array(FEATURES), 2)
    assert found == pytest.approx(np.hstack([FEATURES, DELTA, DELTA_DELTA]), abs=1e-12)
    tensor = dsp.cepstrum.with_deltas_torch(torch.tensor(FEATURES)[None].double(), 2)[0]
    assert tensor.numpy() == pytest.approx(found, abs=1e-12)


def test_all_pairs_are_the_energy_distance() -> None:
    """Szekely and Rizzo 2013, J. Stat. Plan. Inference 143, 1249: half of it."""
    ref, test = pair()
    x, y = cepstra(ref), cepstra(test[:, :4000])

    def mean(a: Any, b: Any) -> float:
        return float(np.linalg.norm(a[:, None] - b, axis=2).mean())

    found = compare(ref, test[:, :4000], f"mfcc:{SMALL},align=all-pairs", RATE, length="keep", detail="map")
    answer = next(iter(found.values()))
    assert answer.value == pytest.approx(mean(x, y) - mean(x, x) / 2 - mean(y, y) / 2, rel=1e-9)
    assert answer.details["mean_distance"] == pytest.approx(mean(x, y), rel=1e-12)
    assert np.sum(answer.map) == pytest.approx(answer.value)


def test_all_pairs_know_no_order() -> None:
    ref, _ = pair()
    backwards = ref[:, ::-1].copy()
    assert value(ref, ref, "align=all-pairs") == 0.0
    assert value(ref, backwards, "align=all-pairs") < 0.1 * value(ref, backwards, "align=none")


def test_blocks_of_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = cepstra(pair()[0]), cepstra(pair()[1])
    whole = pairwise.mean_distance(x, y)
    monkeypatch.setattr(pairwise, "ROWS", 7)
    monkeypatch.setattr(pairwise, "COLUMNS", 5)
    assert pairwise.mean_distance(x, y) == pytest.approx(whole, rel=1e-14)
    assert pairwise.mean_distance(x, y, 1) == pairwise.mean_distance(x, y, 3)


def test_alignment_forgives_what_comes_late() -> None:
    ref, _ = pair()
    late = np.hstack([ref[:, :1], ref])[:, : ref.shape[1]]
    late = np.hstack([np.zeros((1, 512)), late])[:, : ref.shape[1]]  # by four frames
    assert value(ref, late, "align=dtw") < 0.3 * value(ref, late, "align=none")
    assert value(ref, ref, "align=dtw,deltas=2") == 0.0


@pytest.mark.parametrize("options", ["deltas=2", "align=dtw", "align=all-pairs,deltas=1", "deltas=1,convention=db-rms"])
def test_losses_are_the_metric(options: str) -> None:
    ref, test = pair()
    x, y = (torch.tensor(z[None, :, :2000]) for z in (ref, test))
    loss = Loss(f"mfcc:{SMALL},{options}", RATE)
    y.requires_grad_()
    found = loss(y, x)
    assert found.item() == pytest.approx(value(ref[:, :2000], test[:, :2000], options), rel=1e-9)
    found.backward()
    way = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    step = 1e-6
    ahead, behind = (loss(y.detach() + s * way, x).item() for s in (step, -step))
    assert (y.grad * way).sum().item() == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_lengths_may_differ_where_no_frame_has_its_counterpart() -> None:
    ref, test = pair()
    short = test[:, :4000]
    for options in ("align=dtw,lag=1", "align=all-pairs"):
        spec = f"mfcc:{SMALL},{options}"
        assert np.isfinite(value(ref, short, options))
        assert torch.isfinite(Loss(spec, RATE)(torch.tensor(short[None]), torch.tensor(ref[None])))
    with pytest.raises(InputError, match="mfcc needs equal lengths"):
        value(ref, short, "deltas=1")
    with pytest.raises(UsageError, match="mfcc takes no other"):
        Loss(f"mfcc:{SMALL},deltas=1", RATE)(torch.tensor(short[None]), torch.tensor(ref[None]))
