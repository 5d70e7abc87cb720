"""Every metric has a value for an ordinary pair, with nothing installed but audiosim itself."""

from __future__ import annotations

import pytest

from audiosim import Signal, compare, metrics
from audiosim.testing.contract import pairs, rate_of
from audiosim.testing.signals import COMPILED


@pytest.mark.parametrize("name", metrics.names())
def test_every_metric_has_a_value(name: str) -> None:
    metric = metrics.get(name)
    if not COMPILED and metric.card.shortest > 0.2:
        pytest.skip("the shortest recording that it takes is too long for uncompiled kernels")
    ref, test = (Signal.of(x, rate_of(metric)) for x in pairs(metric)[0])
    result = compare(ref, test, name, detail="map")[name]
    assert result.status == "ok", result.reason
    assert (result.map is None) == (metric.card.map == "none")
