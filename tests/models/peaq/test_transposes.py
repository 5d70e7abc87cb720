"""The transposes of PEAQ's ear, and its twins where channels and frames are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.models.peaq import fft_ear, transposes
from audiosim.testing.signals import COMPILED, added_noise, chord_music, pink, speech_like

RATE = 48000


def test_one_pole_and_its_transpose() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 7, 3))
    decay = np.array([0.1, 0.5, 0.99])
    forth, back = np.empty_like(x), np.empty_like(x)
    transposes.one_pole(x, decay, False, forth)
    transposes.one_pole(y, decay, True, back)
    memory = np.zeros(3)
    for row, mean in zip(x, forth, strict=True):
        memory = decay * memory + (1 - decay) * row
        np.testing.assert_allclose(mean, memory, rtol=1e-12)
    assert np.sum(forth * y) == pytest.approx(np.sum(x * back), rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 40.0, 90.0])
def test_slope_of_spreading(level: float) -> None:
    """Along a random direction, slopes and changes relative to the energies."""
    ear = fft_ear.BarkEar.of()
    rng = np.random.default_rng(2)
    energy = 10 ** ((level + rng.uniform(-20, 20, (2, ear.bands))) / 10) + ear.noise
    slope = rng.standard_normal(energy.shape) / ear.spread(energy)
    direction = energy * rng.standard_normal(energy.shape)
    there, back = (ear.spread(energy + sign * 1e-6 * direction) for sign in (1, -1))
    found = np.sum(transposes.spread_slope(ear, energy, slope) * direction)
    assert found == pytest.approx(np.sum(slope * (there - back)) / 2e-6, rel=1e-7, abs=1e-7)


TWINS = ("nmr", "noise-loudness", "modulation-difference")


def pairs() -> dict[str, tuple[Any, Any]]:
    """Stereo recordings of 1.2 s, of whose frames and channels some do not count."""
    ref = np.concatenate([chord_music(RATE, 1.2, 1), speech_like(RATE, 1.2, 2)])
    test = added_noise(ref, RATE, 0.03, 3)
    at = np.arange(ref.shape[1]) / RATE
    late, early = at > 0.7, at < 0.9
    one = np.array([[1.0], [0.0]])
    return {
        "all": (ref, test),
        "silent ends": (ref * (at > 0.2) * early, test * (at > 0.1)),
        "channels apart": (ref * np.stack([late, early]), test * np.stack([late, early])),
        "one channel": (ref * one, test * one),
        "one channel, noise in the other": (ref * one, test),
        "loud late": (ref * np.where(late, 1, 1e-3), test * np.where(late, 1, 1e-3)),
        "loud too late": (ref * np.where(at > 1.17, 1, 1e-3), test * np.where(at > 1.17, 1, 1e-3)),
        "0.61 s": (ref[:, :29300], test[:, :29300]),
        "0.5 s": (ref[:, :24000], test[:, :24000]),
    }


@pytest.mark.skipif(not COMPILED, reason="takes seconds of sound")
@pytest.mark.parametrize("name", TWINS)
def test_twins_count_the_frames_and_channels_that_compute_counts(name: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    loss = Loss(name, RATE, "none")
    found = {}
    for case, (ref, test) in pairs().items():
        expected = metrics.get(name).compute(ref, test, RATE).value
        found[case] = loss(torch.tensor(test[None]), torch.tensor(ref[None])).item()
        assert found[case] == pytest.approx(expected, rel=1e-9), case
    cases = [pair for pair in pairs().values() if pair[0].shape[1] > RATE]
    together = loss(*(torch.tensor(np.stack([pair[i] for pair in cases])) for i in (1, 0)))
    assert together.tolist() == pytest.approx([*found.values()][: len(cases)], rel=1e-12)


@pytest.mark.parametrize("name", TWINS)
def test_gradient_has_a_gradient(name: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    ref = pink(RATE, 0.06, 1)
    test = torch.tensor(added_noise(ref, RATE, 0.3, 1)[None]).requires_grad_()
    loss = Loss(name, RATE)
    rng = torch.Generator().manual_seed(1)
    u, v = (torch.randn(test.shape, generator=rng, dtype=torch.float64) for _ in range(2))

    def along(y: Any) -> Any:
        return (torch.autograd.grad(loss(y, torch.tensor(ref[None])), y, create_graph=True)[0] * u).sum()

    second = torch.autograd.grad(along(test), test)[0]
    step = 1e-7
    there, back = (along((test + sign * step * v).detach().requires_grad_()).item() for sign in (1, -1))
    assert (second * v).sum().item() == pytest.approx((there - back) / (2 * step), rel=1e-3)
