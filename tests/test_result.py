"""Pooling of channels."""

from __future__ import annotations

from math import inf, nan

from audiosim.answer import Channel, pool


def test_a_reason_that_all_channels_share_is_said_once() -> None:
    assert pool([Channel(value=inf, reason="no noise")] * 7).reason == "no noise"
    mixed = pool([Channel(value=1.0), Channel(value=nan, reason="silent")])
    assert (mixed.status, mixed.reason) == ("undefined", "channel 2: silent")
