"""`python -m autowarmup` is the `autowarmup` command, and `torchrun -m autowarmup` runs it."""

from autowarmup.lab.cli import main

raise SystemExit(main())
