"""Agree on the loss before it touches a rate: micro-batches and processes become one number.

`Agreement` is what the scheduler talks to. Losses are summed where they lie (`buffer`), the sums of
all processes are gathered (`group`), reach the host now or some updates later (`exchange`), and
become one number, the same in every process (`reduction`).
"""

from __future__ import annotations

from autowarmup.agreement.agreement import AgreedLoss, Agreement
from autowarmup.agreement.group import Group
from autowarmup.agreement.reduction import REDUCTIONS, LossSum

__all__ = ["REDUCTIONS", "AgreedLoss", "Agreement", "Group", "LossSum"]
