"""`autowarmup theory`: the theorems, checked."""

from __future__ import annotations

import contextlib
import json as json_format
import sys
from pathlib import Path
from typing import Annotated

from autowarmup.lab.claim import claimed
from autowarmup.lab.extras import need
from autowarmup.lab.verbs.train import filled_by
from autowarmup.lab.verbs.typed import command


def theory(
    instances: int = 20,
    seed: int = 0,
    json: bool = False,
    out: Annotated[Path | None, filled_by("no page")] = None,
) -> int:
    """Check every theorem of both papers on functions of which everything is known.

    Seconds. The exit code is 1 where a statement is violated, or where a false one is not caught.

    Args:
        instances: random functions of each kind; 600 make more than 10,000.
        seed: the same seed gives the same numbers.
        json: print one JSON object for machines.
        out: also write OUT/theory.json and OUT/theory.html.
    """
    from autowarmup.lab.theory.report import print_report
    from autowarmup.lab.theory.verify import verify

    if out is not None:
        need("jinja2")
    with contextlib.nullcontext() if out is None else claimed(out):
        report = verify(instances, seed, command=command())
        if json:
            print(json_format.dumps(report.to_dict()))
        else:
            print_report(report)
        if out is not None:
            page = report.write(out)
            print(f"Open {page} in a browser.", file=sys.stderr if json else sys.stdout)
    return 1 if report.wrong else 0
