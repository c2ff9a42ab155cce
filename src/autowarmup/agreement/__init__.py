"""Agree on the loss before it touches a rate: micro-batches and processes become one number.

`Agreement` is what the scheduler talks to. A loss is summed where it lies (`buffer`), the sums of
all processes are gathered (`group`), come to the host now or some updates later (`arrival`), and
are made one number by everyone alike (`reduction`).
"""

from __future__ import annotations

from autowarmup.agreement.agreed import Agreement
from autowarmup.agreement.group import Group
from autowarmup.agreement.reduction import REDUCTIONS, Part

__all__ = ["REDUCTIONS", "Agreement", "Group", "Part"]
