"""Foreign programs that take some care to import. Tests are skipped where they are not installed."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Any

import pytest


def pysptk() -> Any:
    """It imports pkg_resources, which newer setuptools lack, to find a recording that comes with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pkg_resources  # noqa: F401
        except ModuleNotFoundError:
            stand_in: Any = ModuleType("pkg_resources")
            stand_in.resource_filename = lambda *_: ""
            sys.modules["pkg_resources"] = stand_in
        else:
            stand_in = None
        try:
            return pytest.importorskip("pysptk")
        finally:
            if stand_in is not None:
                del sys.modules["pkg_resources"]
