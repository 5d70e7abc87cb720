"""Which loss teaches best? Small networks, trained on real tasks under one loss after another, judged by metrics that
the loss does not know. `audiosim bench` runs it; `task` has the protocol for tasks of your own.
"""

from __future__ import annotations

from .ranking import Row, table
from .task import Task, load, names
from .trial import LADDER, Budget, Plan, read, run, usable

__all__ = ["LADDER", "Budget", "Plan", "Row", "Task", "load", "names", "read", "run", "table", "usable"]
