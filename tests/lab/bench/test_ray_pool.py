"""Runs on a local Ray cluster of two workers: the same records as the local engine's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench import ray_pool
from autowarmup.lab.bench.engine import Outcome, run_plans
from autowarmup.lab.bench.plan import planned
from autowarmup.lab.bench.ray_pool import LOST, RayOptions
from autowarmup.lab.bench.records import key_of, read_records
from autowarmup.lab.bench.setups import Setup

HERE = Path(__file__).parent
SETUPS = [Setup(name, lr, model="tiny-cpu") for name, lr in (("muon", 6e-3), ("lion", 2e-3))]
PLANS = planned(SETUPS, ("watched", "none", "linear 50%"), (0,))


def records(out: Path) -> dict[str, dict[str, Any]]:
    own = ("pid", "threads")
    return {
        key_of(record): {name: value for name, value in record.items() if name not in own}
        for record in read_records(out)
    }


def run(plans: Any, out: Path, fake: str, **kwargs: Any) -> Outcome:
    return run_plans(plans, out, train=f"fake_training:{fake}", progress=False, **kwargs)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray has no package for this platform")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(HERE))
        ray = ray_pool.import_ray()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield ray
        ray.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestOnACluster:
    def test_records_equal_those_of_the_local_engine(self, cluster: Any, tmp_path: Path) -> None:
        assert run(PLANS, tmp_path / "ray", "mixed", ray=RayOptions()).missing == 1
        run(PLANS, tmp_path / "local", "mixed")
        assert records(tmp_path / "ray") == records(tmp_path / "local")
        (log,) = (tmp_path / "ray" / "logs").iterdir()
        assert "Traceback" in log.read_text()

    def test_a_run_that_kills_its_process_is_given_up_after_some_tries(
        self, cluster: Any, tmp_path: Path
    ) -> None:
        plans = PLANS[:2]
        outcome = run(plans, tmp_path, "killed_on_no_warmup", ray=RayOptions(retries=1))
        assert (outcome.stored, outcome.missing) == (1, 1)
        assert f"{LOST} (tried 2 times)" in outcome.failures[0]

    def test_a_killed_worker_costs_no_run(self, cluster: Any, tmp_path: Path) -> None:
        marker = tmp_path / "marker"
        marker.touch()
        plans = planned(SETUPS, ("watched", "none"), (0,), {"marker": str(marker)})
        outcome = run(plans, tmp_path / "ray", "dies_once", ray=RayOptions())
        assert outcome == Outcome(4, 4)
        assert not marker.exists()
        run(plans, tmp_path / "local", "dies_once")
        assert records(tmp_path / "ray") == records(tmp_path / "local")

    def test_a_cluster_that_is_too_small_is_refused(self, cluster: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="expected a cluster with 9 CPU for each run, got 2"):
            run(PLANS, tmp_path, "good", ray=RayOptions(cpus=9))


_DRIVER = """
import sys
from pathlib import Path
from test_ray_pool import PLANS, RayOptions, run
if __name__ == "__main__":
    run(PLANS, Path(sys.argv[1]), "slow", workers=1, ray=RayOptions(address="auto"))
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_killed_driver_leaves_what_is_stored_and_the_same_call_goes_on(
    cluster: Any, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _DRIVER, str(tmp_path / "out")]
    runs = tmp_path / "out" / "runs"
    driver = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})
    deadline = time.monotonic() + 120
    while len(list(runs.glob("*.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in runs.iterdir()}
    assert 2 <= len(kept) < 6
    assert run(PLANS, tmp_path / "out", "good", ray=RayOptions()) == Outcome(6, 6)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"expected `pip install 'autowarmup\[ray\]'`"):
        run_plans(PLANS, tmp_path, progress=False, ray=RayOptions())


@pytest.mark.parametrize("options", [{"cpus": 0}, {"gpus": -1.0}, {"memory": -1}, {"retries": -1}])
def test_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
        RayOptions(**options)
