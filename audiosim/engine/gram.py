"""What the channels of a pair have to do with one another, in one pass over the samples: inner products and sums, and
what lies beyond full scale."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .kernel import fused_kernel

Array = NDArray[Any]

_BLOCK = 4096  # samples that stay in the L1 cache, and whose products float32 adds up


@fused_kernel
def gram(ref: Array, test: Array, products: Array, sums: Array, beyond: Array) -> None:
    """Of the channels of ref, then those of test, [channel, sample] of one dtype and length: adds

    products[i, k]: sum x_i x_k; not finite where a sample is not, or where the dtype does not hold its square.
    sums[i]: sum x_i. beyond[i]: how many samples are larger than 1 either way.
    Sums of a block are taken in the dtype of the samples.
    """
    count = ref.shape[0]
    for at in range(0, ref.shape[1], _BLOCK):
        for i in range(sums.size):
            x = ref[i, at : at + _BLOCK] if i < count else test[i - count, at : at + _BLOCK]
            squares, whole, loud = _alone(x)
            products[i, i] += squares
            sums[i] += whole
            beyond[i] += loud
            for k in range(i):
                y = ref[k, at : at + _BLOCK] if k < count else test[k - count, at : at + _BLOCK]
                products[i, k] += _product(x, y)
                products[k, i] = products[i, k]


@fused_kernel
def _alone(x: Array) -> Any:
    """sum x^2, sum x, and how many |x| > 1."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    squares, whole, loud = zero, zero, zero
    for i in range(x.size):
        square = x[i] * x[i]
        squares += square
        whole += x[i]
        loud += one if square > one else zero
    return squares, whole, loud


@fused_kernel
def _product(x: Array, y: Array) -> Any:
    product = x.dtype.type(0)
    for i in range(x.size):
        product += x[i] * y[i]
    return product
