from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory):
    """The corpus is made once, in a cache of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
