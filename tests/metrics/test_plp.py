"""PLP and RASTA-PLP are those of rastamat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audiosim import Loss, compare
from audiosim.engine.stream import plain
from audiosim.errors import UsageError
from audiosim.metrics import plp
from audiosim.models import plp as model
from audiosim.testing.signals import noise, speech_like

# rastamat (bootphon/features_extraction e781ea0), rastaplp(x, rate, rasta, 12): c_0, c_1, c_6, c_12 of frame 20. Under
# Octave 7.3, with hanning and specgram as Matlab has them: Octave's hanning has zeros at its ends, its specgram no bin
# at half the rate. RASTA's first four frames are constant there, and are left out here.
RASTAMAT = {
    (8000, False): [6.634122535512543, 0.005787472378466182, 0.18939910060549053, 0.07112344210255063],
    (8000, True): [-0.8583772909043005, -0.48964910766010195, 0.027253940779018226, 0.03154823795696171],
    (16000, False): [7.017560582817207, 0.06406223974733605, 0.12092673325843727, -0.16204313973528736],
    (16000, True): [-0.688333263924961, -0.45007050868151915, 0.1890456181387356, -0.004477490962821359],
}


def chirp(rate: int) -> Any:
    """Half a second, under a square wave."""
    t = np.arange(rate // 2) / rate
    swept = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t * t)) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))
    return swept + 0.1 * np.sign(np.sin(2 * np.pi * 117 * t))


@pytest.mark.parametrize(("rate", "rasta"), RASTAMAT)
def test_cepstra_are_those_of_rastamat(rate: int, rasta: bool) -> None:
    found = plp.analysis(rate, plp.Options(rasta=rasta)).cepstra(plain(chirp(rate)))
    assert found.shape == (44 if rasta else 48, 13)
    assert found[20, [0, 1, 6, 12]] == pytest.approx(RASTAMAT[rate, rasta], abs=1e-12)


def test_rasta_is_deaf_to_what_stays() -> None:
    """But for the noise of a 16-bit step below both."""
    x = noise(16000, 0.5, 1)
    tilted = 0.3 * (x - 0.6 * np.pad(x, ((0, 0), (1, 0)))[:, :-1])
    far, near = (compare(x, tilted, spec, 16000)[spec].value for spec in ("plp", "plp:rasta=true"))
    assert near < 0.2 * far


@pytest.mark.parametrize("options", ["order=8", "rasta=true", "rasta=true,deltas=2", "align=all-pairs"])
def test_losses_are_the_metric(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "RUN", 16)  # more than one run of RASTA
    ref = speech_like(8000, 0.4, 1)
    test = 0.7 * ref + 0.01 * noise(8000, 0.4, 2)
    loss, x, y = Loss(f"plp:{options}", 8000), torch.tensor(ref[None]), torch.tensor(test[None], requires_grad=True)
    found = loss(y, x)
    spec = f"plp:{options}"
    assert found.item() == pytest.approx(compare(ref, test, spec, 8000)[spec].value, rel=1e-9)
    found.backward()
    way = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    ahead, behind = (loss(y.detach() + s * way, x).item() for s in (1e-7, -1e-7))
    assert (y.grad * way).sum().item() == pytest.approx((ahead - behind) / 2e-7, rel=1e-4)


def test_what_is_too_short_says_so() -> None:
    x = noise(8000, 0.06, 1)
    found = compare(x, x, ["plp", "plp:rasta=true"], 8000)
    assert found["plp"].value == 0.0
    assert found["plp:rasta=true"].reason == "too short: 520 samples are needed, there are 480"
    with pytest.raises(UsageError, match="plp needs a rate of 1000 Hz or more, not 800"):
        compare(x, x, "plp", 800)
