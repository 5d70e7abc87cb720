"""fwseg-snr: what is known of it. All of pysepm's numbers: test_agreement.py; its formula: test_definitions.py."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare
from audiosim.errors import UsageError
from audiosim.result import Result
from audiosim.testing.signals import COMPILED, Array, added_noise, added_tone, gain, noise, silence, speech_like
from tests.recorded import speech

RATE = 16000


def fwseg(ref: Array, test: Array, options: str = "", detail: str = "value") -> Result:
    spec = f"fwseg-snr{options}"
    return compare(ref, test, spec, RATE, detail=detail)[spec]  # type: ignore[arg-type]


def test_gain_is_evened_out_frame_by_frame() -> None:
    x = noise(RATE, 0.1, 1)
    y = x * np.linspace(1, 1.2, x.shape[1])
    assert fwseg(x, gain(x, RATE, 1.0)).value == 35
    assert fwseg(x, y).value > 30 > fwseg(x, added_noise(x, RATE, 0.3, 1)).value


def test_a_pause_that_is_filled_does_not_count() -> None:
    """To pysepm it is a pair of unlike spectra, one of them that of the constant which it adds."""
    speech_, nothing = speech_like(RATE, 0.2, 1), silence(RATE, 0.3)
    ref = np.concatenate([speech_, nothing], axis=1)
    filled = np.concatenate([added_noise(speech_, RATE, 0.01, 1), 1e-3 * noise(RATE, 0.3, 2)], axis=1)
    heard = fwseg(ref, filled, detail="profile")
    assert heard.per_time is not None
    assert np.isnan(heard.per_time[-30:]).all()
    assert heard.value == pytest.approx(np.nanmean(heard.per_time), rel=1e-12)
    assert heard.value > fwseg(ref, filled, ":convention=pysepm").value + 5
    lost = fwseg(filled, ref, detail="profile").per_time
    assert lost is not None
    np.testing.assert_allclose(lost[-30:], 0, atol=1e-12)


def test_profile_finds_the_band_and_its_own_ratio() -> None:
    x = noise(RATE, 0.3 if COMPILED else 0.1, 3)
    y = added_tone(added_noise(x, RATE, 0.01, 1), RATE, 0.3, frequency=1020.0)
    found = fwseg(x, y, detail="map")
    assert found.per_band is not None
    assert found.bands is not None
    assert found.map is not None
    assert found.per_band.size == 25
    assert found.bands[np.argmin(found.per_band)] == pytest.approx(1020, abs=150)
    assert found.map.sum(0).argmax() == np.argmin(found.per_band)
    low, high = -10.0, 35.0
    assert (found.per_band >= low).all()
    assert (found.per_band <= high).all()


def test_channels_may_be_silent_at_different_times_or_throughout() -> None:
    x = noise(RATE, 0.2, 1, 2)
    x[0, 1600:] = 0
    y = x + 0.01 * noise(RATE, 0.2, 2, 2)
    alone = [fwseg(x[c : c + 1].copy(), y[c : c + 1].copy(), detail="map").per_time for c in range(2)]
    both = fwseg(x, y, detail="map").per_time
    assert both is not None
    np.testing.assert_allclose(both, np.nanmean(np.array(alone), axis=0))
    x[0] = 0
    assert fwseg(x, y, detail="map").reason == "channel 1: the reference is silent"
    assert not fwseg(y, y, detail="map").map.any()  # type: ignore[union-attr]


def test_edges() -> None:
    x, silent = speech_like(RATE, 0.2, 1), silence(RATE, 0.2)
    assert fwseg(silent, x).reason == fwseg(silent, silent).reason == "the reference is silent"
    assert fwseg(x, silent).value == pytest.approx(0, abs=1e-12)
    assert fwseg(x[:, :599], x[:, :599]).reason == "too short: two frames take 600 samples, there are 599"
    assert fwseg(x[:, :600], x[:, :600]).value == 35
    for options, says in (
        (":low=3,high=3", "ascend"),
        (":frame=0", "frame must be above 0"),
        (":overlap=1", "overlap must be 0 to below 1"),
        (":frame=1e-5", "frame of 0 samples"),
    ):
        with pytest.raises(UsageError, match=says):
            fwseg(x, x, options)


def test_numbers_of_the_original_where_nothing_is_silent() -> None:
    """pysepm at 7ef88af, fwSNRseg(ref, deg, 16000); its constant is heard in digital silence alone."""
    if not COMPILED:
        pytest.skip("recordings are too long for uncompiled kernels")
    counted = 0
    for name, ref, test, theirs in speech():
        frames = [np.lib.stride_tricks.sliding_window_view(x[0], 480)[::120] for x in (ref, test)]
        if all(f.any(axis=1).all() for f in frames):
            counted += 1
            assert fwseg(ref, test).value == pytest.approx(theirs["pysepm.fwSNRseg"], abs=1e-9), name
    if not counted:
        pytest.skip("needs the folder ../shared beside the checkout")
    assert counted >= 80


@pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")
def test_a_loss_has_no_slope_at_the_clips() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    ref = noise(RATE, 0.2, 1)
    loud, quiet = added_noise(ref, RATE, 100.0, 1), ref + 1e-9 * noise(RATE, 0.2, 2)
    loss = Loss("fwseg-snr", RATE, "none")
    tests = torch.tensor(np.stack([added_noise(ref, RATE, 0.3, 1), quiet, loud]), requires_grad=True)
    values = loss(tests, torch.tensor(np.stack([ref] * 3)))
    values.sum().backward()
    assert tests.grad[0].any()
    assert values[1].item() == -35
    assert not tests.grad[1].any()
    assert torch.isfinite(tests.grad).all()
