"""Windows and transforms made in float64, against those of scipy."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import scipy.signal

from audiosim.dsp import cepstrum
from audiosim.engine import windows
from audiosim.errors import UsageError
from tests import naive


@pytest.mark.parametrize("n", [1, 2, 3, 16, 333, 1024])
@pytest.mark.parametrize("name", get_args(windows.Window))
def test_periodic(name: str, n: int) -> None:
    window = windows.periodic(name, n)
    assert window.dtype == np.float64
    scipys = scipy.signal.get_window({"rectangular": "boxcar"}.get(name, name), n, fftbins=True)
    np.testing.assert_allclose(window, scipys, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [2, 16, 1024])
def test_hann_adds_up_to_one(n: int) -> None:
    window = windows.periodic("hann", n)
    np.testing.assert_allclose(window[: n // 2] + window[n // 2 :], 1, rtol=1e-15)


def test_unknown_window() -> None:
    with pytest.raises(UsageError, match="unknown window 'kaiser'; one of hann, "):
        windows.periodic("kaiser", 4)


@pytest.mark.parametrize("n", [1, 2, 13, 128])
def test_dct(n: int) -> None:
    matrix = cepstrum.dct(n)
    np.testing.assert_allclose(matrix, naive.dct(n), rtol=0, atol=1e-14)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(n), rtol=0, atol=1e-13)
