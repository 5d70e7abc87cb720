"""Measures of separation beside BSS-eval have the numbers of their packages."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import Loss, metrics
from tests import naive

from .test_bss_eval import RATE, mixture, slopes

# log-wmse-audio-quality 0.2.0, calculate_log_wmse(sum of sources, estimate, source, 44100) of
# mixture(2, rate=44100, seconds=1)
LOG_WMSE = [17.451438903808594, 18.479549407958984, 13.864425659179688]
ALONE = [8.308588027954102, 12.222169876098633, 12.406063079833984]  # the same with the source in place of the mixture
# ci_sdr 0.0.2, ci_sdr.pt.ci_sdr(sources, estimates, compute_permutation=False) of mixture(1)
CI_SDR = [18.016021612816285, 16.971155579842495, 18.986069233936]


def test_log_wmse() -> None:
    """The package computes in float32."""
    sources, estimates = mixture(2, seconds=1.0, rate=44100)
    compute = metrics.get("log-wmse").compute
    for j in range(3):
        others = [(sources[i], estimates[i]) for i in range(3) if i != j]
        pair = sources[j], estimates[j], 44100
        assert compute(*pair, others=others).value == pytest.approx(LOG_WMSE[j], abs=1e-5)
        assert compute(*pair).value == pytest.approx(ALONE[j], abs=1e-5)


def test_log_wmse_as_a_loss() -> None:
    sources, estimates = mixture(2, seconds=0.5, rate=44100)
    found, exact, differences = slopes(Loss("log-wmse", 44100), sources[0], estimates[0], 1e-8)
    assert -found == pytest.approx(metrics.get("log-wmse").compute(sources[0], estimates[0], 44100).value, abs=1e-9)
    assert exact == pytest.approx(differences, rel=1e-5)


def test_a_silent_source_in_a_mixture_has_a_log_wmse() -> None:
    sources, estimates = mixture(1, seconds=1.0, rate=44100)
    silent = np.zeros_like(sources[0])
    compute = metrics.get("log-wmse").compute
    assert (
        compute(silent, silent, 44100, others=[(sources[1], estimates[1])]).value
        == metrics.get("log-wmse").card.identical
    )
    assert compute(silent, estimates[0], 44100, others=[(sources[1], estimates[1])]).status == "ok"
    assert compute(silent, estimates[0], 44100).status == "undefined"


def test_ci_sdr_is_sdr() -> None:
    sources, estimates = mixture(1)
    found = [metrics.get("sdr").compute(sources[j], estimates[j], RATE).value for j in range(3)]
    assert found == pytest.approx(CI_SDR, abs=1e-6)


def test_usdr() -> None:
    sources, estimates = mixture(2)
    silent = np.zeros_like(sources[0])
    for ref, test in ((sources[0], estimates[0]), (silent, estimates[0]), (sources[1], silent), (silent, silent)):
        plain = naive.usdr(ref, test, RATE)
        assert metrics.get("usdr").compute(ref, test, RATE).value == pytest.approx(plain, abs=1e-9)
