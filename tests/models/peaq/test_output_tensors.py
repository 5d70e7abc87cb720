"""PEAQ's model output variables on tensors: the values of the kernels, and derivatives where they are smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.errors import UsageError
from audiosim.metrics.peaq import NETWORK
from audiosim.testing.signals import COMPILED, added_noise, pink, speech_like

torch = pytest.importorskip("torch")

from audiosim.loss import Loss  # noqa: E402  needs torch
from audiosim.models.peaq import output_tensors  # noqa: E402

pytestmark = pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")

RATE = 48000
STEPS = ("BandwidthRef", "BandwidthTest", "ADB", "RelDistFrames")


def sounds() -> dict[str, tuple[Any, Any]]:
    speech, steady = speech_like(RATE, 1.1, seed=1, channels=2), pink(RATE, 0.9, 3, 1)
    low = np.stack([np.convolve(c, 0.4 * np.sinc(0.4 * np.arange(-64, 65)) * np.hamming(129), "same") for c in speech])
    return {
        "noise": (speech, added_noise(speech, RATE, 0.01, 1)),
        "fine noise": (steady, added_noise(steady, RATE, 0.001, 1)),
        "quieter": (speech, 0.8 * speech),
        "low-pass": (speech, low),
        "one ear silent": (speech * [[1], [0]], 0.9 * speech * [[1], [0]]),
        "begins late": (steady * (np.arange(steady.shape[1]) > 9000), 0.7 * steady),
        "few frames": (steady[:, :9000], 0.9 * steady[:, :9000]),
        "one frame": (steady[:, :2048], 0.9 * steady[:, :2048]),
        "identical": (steady, steady),
    }


def tensor(x: Any) -> Any:
    return torch.as_tensor(np.ascontiguousarray(x))[None]


@pytest.mark.parametrize("case", list(sounds()))
def test_variables_and_grade_are_those_of_compute(case: str) -> None:
    """To 1e-7 of each variable, and 1e-9 in ODG: the same sums in another order."""
    ref, test = sounds()[case]
    answer = metrics.get("peaq").compute(ref, test, RATE)
    loss = Loss("peaq", RATE)
    assert -loss(tensor(test), tensor(ref)).item() == pytest.approx(answer.value, abs=1e-9)
    told = loss.terms()
    for name in (*NETWORK.names, "DI"):
        assert told[f"peaq/{name}"].item() == pytest.approx(answer.details[name], rel=1e-7, abs=1e-9), name


@pytest.mark.parametrize("case", ["noise", "fine noise"])
def test_derivatives_are_difference_quotients_where_there_are_no_steps(case: str) -> None:
    """EHS where no bin is 90 dB below its frame."""
    ref, test = (tensor(x) for x in sounds()[case])
    variables = output_tensors.OutputVariables(92.0)
    along = test - ref  # others cross kinks, where something is as loud as something else
    y = test.clone().requires_grad_()
    found = variables.basic(ref, y)
    h = 1e-6
    with torch.no_grad():
        after, before = (variables.basic(ref, test + step * along) for step in (h, -h))
    for name, value in found.items():
        if name in STEPS or (name == "EHS" and case == "noise"):
            continue
        slope = (torch.autograd.grad(value.sum(), y, retain_graph=True)[0] * along).sum().item()
        quotient = (after[name] - before[name]).item() / (2 * h)
        assert slope == pytest.approx(quotient, rel=1e-3, abs=1e-6), name


def test_steps_have_a_gradient_that_leads_down() -> None:
    """Noise that is taken away disturbs fewer frames and crosses the threshold by less."""
    ref, test = (tensor(x) for x in sounds()["noise"])
    y = test.clone().requires_grad_()
    found = output_tensors.OutputVariables(92.0).basic(ref, y)
    for name in ("ADB", "RelDistFrames"):
        slope = torch.autograd.grad(found[name].sum(), y, retain_graph=True)[0]
        assert (slope * (test - ref)).sum() > 0, name
    low = tensor(sounds()["low-pass"][1]).requires_grad_()
    width = output_tensors.OutputVariables(92.0).basic(ref, low)["BandwidthTest"]
    slope = torch.autograd.grad(width.sum(), low)[0]
    assert (slope * (ref - low.detach())).sum() > 0, "what a low-pass took widens the band"


def test_more_than_two_channels_and_the_torch_backend_get_one_line() -> None:
    with pytest.raises(Exception, match="mono and stereo only, these have 3 channels"):
        Loss("peaq", RATE)(torch.zeros(1, 3, 4000), torch.zeros(1, 3, 4000))
    ref, test = sounds()["few frames"]
    with pytest.raises(UsageError, match="leave the backend to numba"):
        compare(ref, test, "peaq", RATE, backend="torch")
