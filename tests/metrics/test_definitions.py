"""Every metric is what its definition says: engine against the plain formula of tests/naive.py, float64, 1e-9."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import get_args

import pytest

from audiosim import compare, metrics
from audiosim.hearing.weighting import Weighting
from audiosim.testing.signals import COMPILED, Array, low_pass, noise, pink, speech_like
from tests import naive

RATE = 16000
SECONDS = 0.5 if COMPILED else 0.15
WEIGHTINGS = get_args(Weighting.__origin__)  # type: ignore[attr-defined]

OPTIONS = [
    "log-cosh:a=30,eps=1e-6",
    "log-cosh:a=0.1,eps=0.01",
    "esr:convention=coreaudioml",
    "esr:convention=plain",
    "dc:convention=coreaudioml",
    "dc:convention=plain",
    *(
        f"{m}:convention={c},zero_mean={z}"
        for m in ("snr", "si-sdr", "sd-sdr")
        for c in ("torchmetrics", "auraloss", "plain")
        for z in ("false", "true")
    ),
    *(f"{m}:channels=mean" for m in naive.POOLED),
    "si-sdr:channels=mean,convention=auraloss,mid_side",
    "sdr:taps=1",
    "sdr:taps=50,zero_mean",
    "sdr:taps=64,load=0.01",
    "seg-snr:frame=0.02,overlap=0.5,low=-3,high=20",
    "seg-snr:frame=0.0101,overlap=0.3",
    "fwseg-snr:frame=0.02,overlap=0.5,low=-3,high=20",
    "wss:frame=0.0201,overlap=0.3,keep=0.5",
    "stft:n_fft=512,hop=100,win=401,window=hamming,distance=l2,w_lin=0.5",
    "stft:n_fft=333,hop=77,w_sc=0,floor=1e-4",
    "mel-stft:bands=40,window=blackman,w_lin=2",
    "mel-stft:bands=64,n_fft=301,hop=150,distance=l2,w_sc=0.5",
    "mr-stft:resolutions=128/32/128+255/64/200,bands=20,w_lin=1",
    "mr-stft:distance=l2,window=rectangular,floor=1e-6",
    "spectral-convergence:n_fft=256,hop=300,win=64",
    "log-mel:bands=30,fmin=100,fmax=7000,n_fft=1023,hop=256,floor=1e-3",
    "mfcc:convention=db-rms,bands=40,coefficients=13",
    "mfcc:coefficients=128,window=blackman",
    "mfcc:cepstra=linear,n_fft=512,bands=26,coefficients=13",
    "mfcc:cepstra=bark,n_fft=512,bands=26,coefficients=13",
    "mfcc:cepstra=gammatone,n_fft=512,bands=26,coefficients=13",
    "mfcc:cepstra=human-factor,n_fft=512,bands=26,coefficients=13",
    "mfcc:deltas=1,n_fft=512,hop=256",
    "mfcc:deltas=2,convention=db-rms,cepstra=linear,bands=40,coefficients=13",
    "plp:rasta=true",
    "plp:order=8,deltas=1",
    "lsd:n_fft=512,hop=256,centre=false,floor=0.01",
    "lsd:n_fft=601,hop=97",
    "itakura-saito:n_fft=400,hop=160,win=320,floor=1e-6",
    "cosh:n_fft=400,hop=160,win=320,floor=1e-6",
    "complex-stft:c=1,a=0,distance=l1",
    "complex-stft:c=0.5,a=0.3,n_fft=511,hop=128",
    "phase:w_phase=0,w_if=1",
    "phase:w_phase=0,w_gd=1",
    "phase:w_phase=1,w_if=2,w_gd=0.5,n_fft=512,hop=64,window=hamming,floor=1e-4",
    "spectral-transport:scale=hz,p=2,weight=0",
    "spectral-transport:scale=log,n_fft=601,hop=97,centre,window=blackman,floor=1e-6",
    "esr:weighting=hp,coef=0.97",
    "mr-stft:weighting=fd,coef=0.5,mid_side",
    "si-sdr:weighting=aw-lp,coef=1,mid_side",
]


@cache
def pair() -> tuple[Array, Array]:
    """Stereo: an utterance, low-passed under noise; pink noise, louder, offset and under noise."""
    ref = pink(RATE, SECONDS, 1, 2)
    ref[0] = speech_like(RATE, SECONDS, 2)[0]
    test = ref + 0.03 * noise(RATE, SECONDS, 3, 2)
    test[:1] = low_pass(test[:1], RATE, 0.2) + 0.01 * noise(RATE, SECONDS, 4)
    test[1] = 1.3 * test[1] + 0.02
    return ref, test


def agrees(spec: str) -> None:
    ref, test = pair()
    plain = naive.value(spec, ref, test, RATE)
    assert compare(ref, test, spec, RATE)[spec].value == pytest.approx(plain, rel=1e-9, abs=0)
    assert compare(ref, test, spec, RATE, detail="profile", jobs=2)[spec].value == pytest.approx(plain, rel=1e-9, abs=0)


def test_every_conventional_metric_is_defined_here() -> None:
    cards = {n: metrics.get(n).card for n in metrics.names()}
    alone = {n for n, c in cards.items() if c.family in ("conventional", "cepstral") and c.sources is None}
    # test_bss_eval.py and test_separation.py define those of several sources; glitches are what detectors find
    assert alone - {"glitches"} <= set(naive.DEFINITIONS)


@pytest.mark.parametrize("name", naive.DEFINITIONS)
def test_defaults(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("spec", OPTIONS)
def test_options(spec: str) -> None:
    agrees(spec)


@pytest.mark.parametrize("weighting", [w for w in WEIGHTINGS if w != "none"])
@pytest.mark.parametrize("name", naive.DEFINITIONS)
def test_weightings(name: str, weighting: str) -> None:
    agrees(f"{name}:weighting={weighting}")


@pytest.mark.parametrize("weighting", ["none", "hp", "fd", "a"])
@pytest.mark.parametrize("name", ["mse", "esr", "snr", "si-sdr", "mae", "log-cosh", "dc"])
@pytest.mark.parametrize("length", [1, 2, 3, 64, 4095, 4096, 4097, 10007])
def test_lengths(name: str, weighting: str, length: int) -> None:
    """Waveform metrics at every length, around the blocks that kernels work in."""
    if not COMPILED and length > 4097:
        pytest.skip("too long for uncompiled kernels")
    ref = noise(RATE, length / RATE, 5)
    test = ref + 0.1 * noise(RATE, length / RATE, 6) + 0.01
    spec = f"{name}:weighting={weighting}"
    plain = naive.value(spec, ref, test, RATE)
    assert compare(ref, test, spec, RATE)[spec].value == pytest.approx(plain, rel=1e-9, abs=0)


@pytest.mark.parametrize("name", ["snr", "si-sdr", "sd-sdr"])
@pytest.mark.parametrize("zero_mean", ["false", "true"])
def test_identical_files_are_infinitely_good_without_a_guard(name: str, zero_mean: str) -> None:
    """Not about 300 dB: equal samples cancel to the last digit, also those that lost their means."""
    spec = f"{name}:convention=plain,zero_mean={zero_mean}"
    for weighting in ("none", "hp", "a"):
        for dtype in ("float32", "float64"):
            x = (noise(RATE, SECONDS, 1, 2) + 0.1).astype(dtype)
            full = f"{spec},weighting={weighting}"
            result = compare(x, x.copy(), full, RATE)[full]
            assert (result.value, result.status) == (inf, "infinite")
