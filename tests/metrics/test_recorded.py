"""Agreement with values that foreign programs gave on the recordings in ../shared."""

from __future__ import annotations

import pytest

from audiosim.testing.signals import COMPILED
from tests.recorded import RECORDED, Recorded


@pytest.mark.skipif(not COMPILED, reason="the recordings are too long for uncompiled kernels")
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda r: f"{r.spec.partition(':model')[0]} {r.what}")
def test_recorded_numbers(recorded: Recorded) -> None:
    numbers = list(recorded.numbers())
    if not numbers:
        pytest.skip("needs the folder ../shared beside the checkout")
    for name, ours, theirs in numbers:
        assert recorded.excess(ours, theirs) <= 1, (name, ours, theirs)
