"""Terms: every implementation that is made from one function, against that function, finite differences and torch."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim.distance import log_square
from audiosim.engine import moments
from audiosim.engine.stream import Stream, plain
from audiosim.engine.term import ErrorTerm, PairTerm, absolute, exp, ln, maximum, slope_source, sqrt
from audiosim.metrics.cosh import half_sum
from audiosim.metrics.itakura_saito import divergence
from audiosim.metrics.mae import absolute_error
from audiosim.testing.signals import COMPILED, Array
from tests import naive
from tests.engine.test_divergence import BINS, FLOOR, FRAMES, cuts, powers

SHIFT = 0.25


@PairTerm
def rules(r: Any, t: Any, low: Any, power: Any) -> Any:
    """Every rule of the derivation, and names that change."""
    x = -t / 3 + SHIFT
    x = x * x - power
    y = sqrt(r * t + 1) + absolute(t - 2 * r)
    z = exp(-y / (1.0 + t)) / (t + low)
    y = 2
    return ln(maximum(t, low) / (r + low)) * z - x**2 + (t + 1) ** power / (r + y)


@ErrorTerm
def softened(e: Any, eps: Any) -> Any:
    return sqrt(e * e + eps) - absolute(e) / 3


PAIRS: dict[str, tuple[PairTerm, tuple[float, ...]]] = {
    "log_square": (log_square, (FLOOR,)),
    "itakura_saito": (divergence, ()),
    "cosh": (half_sum, ()),
    "rules": (rules, (FLOOR, 0.7)),
}
NAIVE = {"log_square": naive.log_squares, "itakura_saito": naive.itakura_saito, "cosh": naive.cosh}
ERRORS: dict[str, tuple[ErrorTerm, tuple[float, ...]]] = {
    "absolute": (absolute_error, ()),
    "softened": (softened, (0.1,)),
}

every_pair = pytest.mark.parametrize("name", PAIRS)
every_error = pytest.mark.parametrize("name", ERRORS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def folded(name: str, ref: Array, test: Array, edges: Array, *arguments: float) -> Array:
    """The sums [frame, range]."""
    term, own = PAIRS[name]
    out = np.full((len(ref), edges.size - 1, 1), np.nan)
    term.fold(ref, test, arguments or own, edges, out)
    return out[:, :, 0]


def slopes(term: PairTerm, ref: Array, test: Array, arguments: tuple[float, ...]) -> Array:
    out = np.full_like(test, np.nan)
    term.slopes(ref, test, arguments, out)
    return out


def difference_quotient(function: Callable[[Array], Array], x: Array) -> Array:
    step = 1e-5 * np.abs(x)
    return (function(x + step) - function(x - step)) / (2 * step)


def without_slope(term: PairTerm) -> PairTerm:
    """The same with the slope that is derived."""
    derived = PairTerm(term.function)
    derived.__name__ += "_derived"  # kernels are told apart by their names
    return derived


# Of pairs of powers


@every_pair
@pytest.mark.parametrize("bins", BINS)
def test_sums_over_ranges_of_bins(name: str, bins: int) -> None:
    ref, test = powers(bins)
    term, arguments = PAIRS[name]
    terms = term(ref, test, *arguments)[..., None]
    if name in NAIVE:
        np.testing.assert_allclose(terms, NAIVE[name](ref, test, *arguments), rtol=1e-11, atol=1e-15)
    for edges in cuts(bins):
        ours = folded(name, ref, test, edges)[..., None]
        np.testing.assert_allclose(ours, naive.in_ranges(terms, edges), rtol=1e-11, atol=1e-15)


@every_pair
def test_bins_outside_all_ranges_are_left_out(name: str) -> None:
    ref, test = powers(40)
    edges = np.array([3, 7, 7, 20])
    expected = folded(name, ref[:, 3:20].copy(), test[:, 3:20].copy(), edges - 3)
    ref[:, :3] = test[:, 20:] = np.nan
    ours = folded(name, ref, test, edges)
    np.testing.assert_allclose(ours, expected, rtol=1e-14)
    assert not ours[:, 1].any()


@every_pair
def test_other_terms_of_the_sums_stay_as_they_are(name: str) -> None:
    ref, test = powers(40)
    out = np.full((FRAMES, 1, 3), 5.0)
    PAIRS[name][0].fold(ref, test, PAIRS[name][1], np.array([0, 40]), out)
    assert (out[:, :, 1:] == 5).all()


@every_pair
def test_float32_is_computed_in_double_precision(name: str) -> None:
    ref, test = powers(129, 0, np.float32)
    double, edges = (ref.astype(np.float64), test.astype(np.float64)), np.array([0, 50, 129])
    np.testing.assert_allclose(folded(name, ref, test, edges), folded(name, *double, edges), rtol=1e-12)
    term, arguments = PAIRS[name]
    ours, expected = slopes(term, ref, test, arguments), slopes(term, *double, arguments)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("name", NAIVE)
@every_dtype
def test_equal_powers_differ_by_exactly_nothing(name: str, dtype: type) -> None:
    x = powers(129, 3, dtype)[0]
    term, arguments = PAIRS[name]
    for edges in cuts(129):
        assert not folded(name, x, x.copy(), edges).any()
    assert not slopes(term, x, x.copy(), arguments).any()


@every_dtype
def test_the_lowest_floor_against_the_loudest_power(dtype: type) -> None:
    """Quotients beyond the largest float32."""
    ref, test = (np.array(p, dtype) * np.ones((FRAMES, 40), dtype) for p in ([[0.0]], [[1e6]]))
    ours = folded("log_square", ref, test, np.array([0, 7, 40]), 1e-37)
    expected = (np.log(1e6) - np.log(1e-37)) ** 2
    np.testing.assert_allclose(ours[0], [7 * expected, 33 * expected], rtol=1e-6)


@every_pair
@every_dtype
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_powers_that_overflowed_have_no_value(name: str, dtype: type, bad: float) -> None:
    ref, test = powers(40, 1, dtype)
    spoilt = test.copy()
    spoilt[1, 3] = bad
    with np.errstate(all="ignore"):
        for r, t in ((ref, spoilt), (spoilt, ref), (spoilt, spoilt)):
            ours = folded(name, r, t, np.array([0, 5, 40]))
            assert np.isnan(ours[1, 0])
            assert np.isfinite(ours[[0, 2]]).all()
            assert np.isfinite(ours[:, 1]).all()


@every_pair
def test_the_slope_is_the_derivative(name: str) -> None:
    term, arguments = PAIRS[name]
    ref, test = powers(129, 2)
    test = 1.01 * test + 1e-4  # equal powers have a corner, and the lowest no digits for a difference
    expected = difference_quotient(lambda t: term(ref, t, *arguments), test)
    for either in (term, without_slope(term)):
        np.testing.assert_allclose(slopes(either, ref, test, arguments), expected, rtol=1e-5, atol=1e-7)
    if name == "log_square":
        assert not slopes(term, ref, test, arguments)[test < FLOOR].any()


@pytest.mark.parametrize("name", ["itakura_saito", "cosh"])
def test_slopes_by_hand_keep_the_digits_of_nearly_equal_powers(name: str) -> None:
    """The term's slope is (t - r) / r^2 there."""
    ref = powers(129, 2)[0]
    test = ref * (1 + 2.0**-40)
    np.testing.assert_allclose(slopes(PAIRS[name][0], ref, test, ()), (test - ref) / ref**2, rtol=1e-11)


@every_pair
def test_tensors_and_their_gradient(name: str) -> None:
    torch = pytest.importorskip("torch")
    term, arguments = PAIRS[name]
    ref, test = powers(129, 4)
    test *= 1.01
    t = torch.tensor(test, requires_grad=True)
    values = term.tensors(torch.tensor(ref), t, *arguments)
    np.testing.assert_allclose(values.detach(), term(ref, test, *arguments), rtol=1e-11, atol=1e-15)
    values.sum().backward()
    for either in (term, without_slope(term)):
        np.testing.assert_allclose(slopes(either, ref, test, arguments), t.grad, rtol=1e-9, atol=1e-9)


# Of errors


def samples(length: int, dtype: type = np.float64) -> tuple[Array, Array]:
    ref, test = np.random.default_rng(length).standard_normal((2, 2, length)).astype(dtype)
    test[:, ::5] = ref[:, ::5]
    return ref, test


@every_error
@every_dtype
@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 10007])
def test_sums_over_samples(name: str, dtype: type, length: int) -> None:
    if not COMPILED and length > 4097:
        pytest.skip("too long for uncompiled kernels")
    term, arguments = ERRORS[name]
    (r, t), coef = (x[0] for x in samples(length, dtype)), 0.5
    for lag in (0, 1, 2):
        streams = [Stream(x, dtype(coef if lag else 0), lag) for x in (r, t)]
        x, y = (naive_filtered(s, coef, lag) for s in (r, t))
        expected = term((y - x).astype(np.float64), *arguments).sum()
        for threads in (1, 2):
            ours = moments.over(term.sums, 1, *streams, *arguments, threads=threads)[0]
            assert ours == pytest.approx(expected, rel=1e-12 if dtype is np.float64 else 1e-6)


def naive_filtered(x: Array, coef: float, lag: int) -> Array:
    """The whole response to x [sample]."""
    return np.pad(x, (0, lag)) - x.dtype.type(coef) * np.pad(x, (lag, 0)) if lag else x


@every_error
def test_sums_are_added_to_those_of_the_range_before(name: str) -> None:
    term, arguments = ERRORS[name]
    r, t = (x[0] for x in samples(1000))
    out = np.array([7.0])
    for start, stop in ((100, 300), (300, 1000)):
        term.sums(r[start:stop], t[start:stop], out, *arguments)
    assert out[0] == pytest.approx(7 + term(t[100:] - r[100:], *arguments).sum(), rel=1e-12)


@every_error
def test_equal_samples_differ_by_exactly_nothing(name: str) -> None:
    x, scale, out = samples(1000)[0], np.ones(2), np.full((2, 1000), np.nan)
    term, arguments = ERRORS[name]
    nothing = term(0.0, *arguments)
    assert moments.over(term.sums, 1, *[plain(x[0])] * 2, *arguments)[0] == pytest.approx(1000 * nothing)
    term.slopes(x, x.copy(), 0, 1000, out, scale, *arguments)
    assert not out.any()


@every_error
@every_dtype
def test_the_slope_of_errors_is_the_derivative(name: str, dtype: type) -> None:
    term, arguments = ERRORS[name]
    ref, test = samples(500, dtype)
    test += dtype(1e-3)  # no error is a corner
    scale, out = np.array([2.0, -3.0]), np.full(ref.shape, 9, dtype)
    term.slopes(ref, test, 100, 400, out, scale, *arguments)
    e = (test - ref).astype(np.float64)
    expected = scale[:, None] * difference_quotient(lambda e: term(e, *arguments), e)
    np.testing.assert_allclose(out[:, 100:400], expected[:, 100:400], rtol=1e-5, atol=1e-6)
    assert (out[:, :100] == 9).all()
    assert (out[:, 400:] == 9).all()


@every_error
def test_tensors_of_errors_and_their_gradient(name: str) -> None:
    torch = pytest.importorskip("torch")
    term, arguments = ERRORS[name]
    ref, test = samples(500)
    e = torch.tensor(test - ref, requires_grad=True)
    values = term.tensors(e, *arguments)
    np.testing.assert_allclose(values.detach(), term(test - ref, *arguments), rtol=1e-12)
    values.sum().backward()
    out = np.full_like(ref, np.nan)
    term.slopes(ref, test, 0, 500, out, np.ones(2), *arguments)
    np.testing.assert_allclose(out, e.grad, rtol=1e-10, atol=1e-12)


# How the slope is derived, and what is refused


def test_what_does_not_depend_on_the_test_has_no_slope() -> None:
    def term(r: Any, t: Any) -> Any:
        return ln(r) * 2 + maximum(r, 1.0)

    assert slope_source(term, "t") == "def slope(r, t):\n    return 0.0\n"


def test_a_floor_that_is_the_value_lets_the_slope_through() -> None:
    """As torch.clamp has it."""
    x = np.array([[FLOOR]])
    assert slopes(log_square, 2 * x, x, (FLOOR,))[0, 0] == pytest.approx(-2 * np.log(2) / FLOOR)


def branches(r: Any, t: Any) -> Any:
    if t > r:
        return t
    return r


def two_names(r: Any, t: Any) -> Any:
    a = b = t
    return a + b


def unpacked(r: Any, t: Any) -> Any:
    a, b = r, t
    return a + b


def added_in_place(r: Any, t: Any) -> Any:
    r += t
    return r


def foreign(r: Any, t: Any) -> Any:
    return np.sin(t)


def unknown(r: Any, t: Any) -> Any:
    return softened(t)


def exponent(r: Any, t: Any) -> Any:
    return 2**t


def remainder(r: Any, t: Any) -> Any:
    return t % r


def comparison(r: Any, t: Any) -> Any:
    return (t > r) * t


def moving_floor(r: Any, t: Any) -> Any:
    return maximum(r, t)


@pytest.mark.parametrize("term", [branches, two_names, unpacked, added_in_place])
def test_terms_hold_assignments_and_one_return(term: Any) -> None:
    with pytest.raises(TypeError, match="a term holds assignments and one return, not"):
        slope_source(term, "t")


@pytest.mark.parametrize("term", [foreign, unknown, exponent, remainder, comparison, moving_floor])
def test_what_has_no_rule_is_refused(term: Any) -> None:
    with pytest.raises(TypeError, match="a term may not hold"):
        slope_source(term, "t")


# Where kernels are kept, and when they are made

SCRIPT = """if True:
    import sys
    import numpy as np
    from audiosim.metrics.itakura_saito import divergence
    assert "numba" not in sys.modules
    x, out, slope = np.full((1, 9), 2.0), np.zeros((1, 1, 1)), np.zeros((1, 9))
    divergence.fold(x, 2 * x, (), np.array([0, 9]), out)
    divergence.slopes(x, 2 * x, (), slope)
    print(round(out[0, 0, 0], 6), slope[0, 0], end=" ")
    for kernel in divergence.fold, divergence.slopes:
        stats = getattr(kernel, "stats", None)
        print(stats and (sum(stats.cache_hits.values()), sum(stats.cache_misses.values())), end=" ")
"""
FOUND = f"{9 * (0.5 - 1 + np.log(2)):.6f} 0.125 "


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_the_next_process_compiles_nothing(tmp_path: Path, process: Callable[..., subprocess.Popen[bytes]]) -> None:
    places = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "home")}
    out = [process(python=("-c", SCRIPT), env=places).communicate() for _ in range(2)]
    assert [o.decode() for o, _ in out] == [FOUND + "(0, 1) (0, 1) ", FOUND + "(1, 0) (1, 0) "]
    assert not any(errors for _, errors in out)


def test_uncompiled(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    out, errors = process(python=("-c", SCRIPT), env={"NUMBA_DISABLE_JIT": "1"}).communicate()
    assert (out.decode(), errors) == (FOUND + "None None ", b"")


def test_a_change_of_any_source_gives_new_kernels() -> None:
    """Of the term's file, and of what is compiled into the loops."""
    from audiosim.engine import kernel

    asked: list[tuple[str, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_cache_folder", lambda *sources: asked.append(sources) or "")
        _ = PairTerm(rules.function).fold
    assert {Path(s).name for s in asked[0]} == {"term.py", "test_term.py", "elementary.py", "moments.py"}
