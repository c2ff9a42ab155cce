from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def theory_rng() -> np.random.Generator:
    return np.random.default_rng(2602)
