"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# A shared machine can stall any example; what must be fast is measured in benchmarks.
settings.register_profile("autowarmup", deadline=None)
settings.load_profile("autowarmup")
