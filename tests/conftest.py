"""Settings of the whole suite."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shared machine can stall any example; what must be fast is measured in benchmarks.
settings.register_profile("autowarmup", deadline=None)
settings.load_profile("autowarmup")

# A job in the background starts with Ctrl-C ignored, and so would every process that it starts;
# the tests of interruption need it to mean what it means to a person.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
