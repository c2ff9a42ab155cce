from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from autowarmup.lab.train import checkpoint
from autowarmup.lab.train.checkpoint import checkpoints, load_checkpoint, save_checkpoint


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_the_last_two_are_kept(tmp_path):
    for step in (5, 10, 100):
        save_checkpoint(tmp_path, step, {"step": step})
    assert names(tmp_path) == ["checkpoint-10.pt", "checkpoint-100.pt"]
    loaded = load_checkpoint(tmp_path)
    assert loaded == {"step": 100}


def test_none_yet(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_half_written_ones_are_not_seen(tmp_path):
    save_checkpoint(tmp_path, 5, {"step": 5})
    (tmp_path / "checkpoint-9.tmp-123").write_bytes(b"half")
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-5.pt"]


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 5, {"step": 5})

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"checkpoint-6.*No space left on device.*checkpoint-5.pt is"):
        save_checkpoint(tmp_path, 6, {"step": 6})
    monkeypatch.undo()
    assert names(tmp_path) == ["checkpoint-5.pt"]
    assert load_checkpoint(tmp_path) == {"step": 5}


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    for step in (5, 10):
        path = save_checkpoint(tmp_path, step, {"step": step})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"in .*-10\.pt, got a file that cannot be read"):
        assert load_checkpoint(tmp_path) == {"step": 5}


def test_only_damaged_checkpoints(tmp_path):
    (tmp_path / "checkpoint-3.pt").write_bytes(b"not an archive")
    with (
        pytest.warns(UserWarning, match=r"expected a checkpoint of autowarmup in .*-3\.pt"),
        pytest.raises(ValueError, match=r"got only damaged ones \(checkpoint-3.pt\)"),
    ):
        load_checkpoint(tmp_path)


def test_random_generators_go_on_where_they_were(tmp_path):
    save_checkpoint(tmp_path, 1, checkpoint.random_state())
    expected = torch.rand(3).tolist()
    torch.rand(3)
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    checkpoint.set_random_state(saved)
    assert torch.rand(3).tolist() == expected
