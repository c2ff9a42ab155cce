"""The benchmarks run once without a clock (`--benchmark-disable`), so that they follow the code."""

from benchmarks.bench_peak import test_rule
from benchmarks.bench_scheduler import test_adaptive, test_one_cycle

__all__ = ["test_adaptive", "test_one_cycle", "test_rule"]
