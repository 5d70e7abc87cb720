"""Powers as fractions agree with the C library; layers of memory are torch's (tests/trained/test_networks.py)."""

import numpy as np
import pytest

from audiosim.engine import memory


@pytest.mark.parametrize(("kind", "off"), [(np.float32, 2e-6), (np.float64, 2e-15)])
def test_powers(kind, off):
    """To rounding near 0; float32 loses some, as 40 log2(e) has no more digits behind the point."""
    for x in np.append(np.random.default_rng(1).uniform(-40, 40, 200), [0, 40, -40]).astype(kind):
        numerator, denominator = memory.power(x, kind)
        assert numerator / denominator == pytest.approx(np.exp(np.float64(x)), rel=off)


@pytest.mark.parametrize("x", [41.0, 1e4, np.inf])
def test_beyond_its_range_it_stays_what_saturates(x):
    kind = np.float32
    n, d = memory.power(kind(x), kind)
    assert n / (n + d) == 1
    n, d = memory.power(kind(-x), kind)
    assert n / (n + d) < 1e-17
