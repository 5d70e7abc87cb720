"""What every metric must keep (audiosim.testing.contract). It holds for every file in audiosim/metrics, so a new metric
needs no line here."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("audiosim.testing.contract")

from audiosim import metrics  # noqa: E402
from audiosim.testing.contract import CHECKS, Check, Skip  # noqa: E402
from audiosim.testing.signals import COMPILED  # noqa: E402


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", metrics.names())
def test_contract(name: str, check: Check) -> None:
    metric = metrics.get(name)
    if not COMPILED and metric.card.shortest > 0.2:  # tests/models holds their kernels to their formulas
        pytest.skip("the shortest recording that it takes is too long for uncompiled kernels")
    try:
        check.run(metric)
    except Skip as reason:
        pytest.skip(str(reason))
