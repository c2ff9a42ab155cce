"""Runs on a local Ray cluster of two workers: the same records as the local engine's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.compare import ray_engine
from autowarmup.lab.compare.engine import run_grid
from autowarmup.lab.compare.grid import GRIDS
from autowarmup.lab.compare.ray_engine import LOST, RayOptions

GRID = GRIDS["smoke"]
HERE = Path(__file__).parent


def records(out: Path) -> dict[str, dict[str, Any]]:
    stored = {path.stem: json.loads(path.read_text()) for path in (out / "runs").glob("*.json")}
    for record in stored.values():
        record.get("environment", {}).pop("pid", None)
        record.get("environment", {}).pop("threads", None)
    return stored


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray has no package for this platform")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(HERE))
        ray = ray_engine.import_ray()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield ray
        ray.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestOnACluster:
    def run(self, out: Path, fake: str, **kwargs: Any) -> Any:
        options = RayOptions(**kwargs)
        return run_grid(GRID, out, train=f"fake_training:{fake}", progress=False, ray=options)

    def test_records_equal_those_of_the_local_engine(self, cluster: Any, tmp_path: Path) -> None:
        assert self.run(tmp_path / "ray", "mixed").failed == 1
        run_grid(GRID, tmp_path / "local", train="fake_training:mixed", progress=False)
        assert records(tmp_path / "ray") == records(tmp_path / "local")
        (log,) = (tmp_path / "ray" / "logs").iterdir()
        assert "Traceback" in log.read_text()

    def test_a_run_that_kills_its_process_is_given_up_after_some_tries(
        self, cluster: Any, tmp_path: Path
    ) -> None:
        outcome = self.run(tmp_path, "killed_on_no_warmup", retries=1)
        assert (outcome.finished, outcome.failed) == (4, 2)
        failed = [r for r in records(tmp_path).values() if r["status"] == "failed"]
        assert {record["message"] for record in failed} == {
            "the process that ran it was killed by SIGKILL, perhaps for lack of memory "
            "(tried 2 times)"
        }

    @pytest.mark.parametrize("victim", ["training", "worker"])
    def test_a_killed_worker_costs_no_run(
        self, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
    ) -> None:
        marker = tmp_path / "marker"
        marker.write_text(victim)
        seen = []
        collect = ray_engine.RayPool._collect

        def noting(pool: Any, answer: Any) -> Any:
            seen.append(collect(pool, answer))
            return seen[-1]

        monkeypatch.setattr(ray_engine.RayPool, "_collect", noting)
        overridden = GRIDS["smoke"].to_dict() | {"overrides": {"marker": str(marker)}}
        grid = type(GRID).from_dict(overridden)
        fake, quiet = "fake_training:dies_once", {"progress": False}
        outcome = run_grid(grid, tmp_path / "ray", train=fake, ray=RayOptions(), **quiet)
        assert outcome.finished == 6
        assert not marker.exists()
        (death,) = [outcome for outcome, died, _ in seen if died]
        assert (death == LOST) == (victim == "worker")
        run_grid(grid, tmp_path / "local", train=fake, **quiet)
        assert records(tmp_path / "ray") == records(tmp_path / "local")

    def test_a_cluster_that_is_too_small_is_refused(self, cluster: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="expected a cluster with 9 CPU for each run, got 2"):
            self.run(tmp_path, "good", cpus=9)


_DRIVER = """
import sys
from pathlib import Path
from autowarmup.lab.compare.engine import run_grid
from autowarmup.lab.compare.grid import GRIDS
from autowarmup.lab.compare.ray_engine import RayOptions
if __name__ == "__main__":
    run_grid(GRIDS["smoke"], Path(sys.argv[1]), train="fake_training:slow", progress=False,
             workers=1, ray=RayOptions())
"""


def test_a_killed_driver_leaves_what_is_stored_and_the_same_call_goes_on(
    cluster: Any, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _DRIVER, str(tmp_path / "out")]
    runs = tmp_path / "out" / "runs"
    driver = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})
    deadline = time.monotonic() + 120
    while len(list(runs.glob("seed*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in runs.glob("seed*.json")}
    assert 2 <= len(kept) < 6
    again = run_grid(
        GRID, tmp_path / "out", train="fake_training:good", progress=False, ray=RayOptions()
    )
    assert again.finished == 6
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"expected `pip install 'autowarmup\[ray\]'`"):
        run_grid(GRID, tmp_path, progress=False, ray=RayOptions())


@pytest.mark.parametrize("options", [{"cpus": 0}, {"gpus": -1.0}, {"memory": -1}, {"retries": -1}])
def test_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
        RayOptions(**options)
