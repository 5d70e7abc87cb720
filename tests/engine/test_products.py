"""Products of matrices are numpy's, of any shape and wherever the numbers lie."""

import numpy as np
import pytest

from audiosim.engine.products import packed, product, strips, times


@pytest.mark.parametrize(("dtype", "off"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 7), (1, 4, 9, 24), (3, 9, 2, 50), (1, 4097, 18, 49)])
def test_products_are_numpy_s(shape, dtype, off):
    matrices, rows, common, columns = shape
    rng = np.random.default_rng(rows)
    a = rng.standard_normal((matrices, rows, common)).astype(dtype)
    b = rng.standard_normal((matrices, common, columns)).astype(dtype)
    expected = a.astype(np.float64) @ b
    found = product(packed(a), b, rows)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=off * np.abs(expected).max())
    assert np.array_equal(product(packed(a), b, rows, across=True), found.swapaxes(0, 1))
    turned = np.ascontiguousarray(b.transpose(2, 1, 0)).transpose(2, 1, 0)
    assert np.array_equal(product(packed(a), turned, rows), found)
    spread = np.repeat(np.repeat(b, 3, axis=1), 2, axis=2)[:, 1::3, ::2]
    assert np.array_equal(product(packed(a), spread, rows), found)


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 33, 50), (8, 3, 24)])
def test_rows_times_strips_are_numpy_s(shape):
    rows, common, columns = shape
    rng = np.random.default_rng(rows)
    x, b = rng.standard_normal((rows, common)), rng.standard_normal((common, columns))
    np.testing.assert_allclose(times(x, strips(b), columns), x @ b, rtol=1e-12, atol=1e-12)


def test_a_matrix_is_for_several():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 6, 3)), rng.standard_normal((8, 3, 30))
    np.testing.assert_allclose(product(packed(a), b, 6), np.repeat(a, 4, axis=0) @ b, rtol=1e-12, atol=1e-12)


def test_a_column_is_the_same_alone_and_among_others():
    """So blocks change no bit."""
    rng = np.random.default_rng(2)
    a, b = packed(rng.standard_normal((1, 70, 33))), rng.standard_normal((1, 33, 100))
    whole = product(a, b, 70)
    for k in (0, 47, 99):
        np.testing.assert_allclose(product(a, b[..., k : k + 1], 70), whole[..., k : k + 1], rtol=1e-13, atol=1e-13)


def test_nan_and_infinity_stay_in_their_column():
    a, b = np.ones((1, 4, 3)), np.ones((1, 3, 24))
    b[0, 1, 5], b[0, 2, 7] = np.nan, np.inf
    found = product(packed(a), b, 4)
    assert np.isnan(found[0, :, 5]).all()
    assert np.isposinf(found[0, :, 7]).all()
    assert np.isfinite(np.delete(found, (5, 7), axis=2)).all()
