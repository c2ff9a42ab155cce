"""Write results/theory/counts.json and its two figures (a minute on one core).

python tools/theory_counts.py            # run and draw
python tools/theory_counts.py --draw     # only draw again what was run
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from autowarmup.lab.files import write_aside
from autowarmup.lab.theory import count_figures, counts

OUT = Path(__file__).resolve().parent.parent / "results" / "theory"


def main() -> None:
    """Run unless told only to draw; draw."""
    path = OUT / counts.FILE
    if "--draw" not in sys.argv[1:]:
        record = counts.count(40, seed=1, command="python tools/theory_counts.py")
        write_aside(path, (json.dumps(record, allow_nan=False) + "\n").encode())
    count_figures.draw(json.loads(path.read_text()), OUT / "figures")


if __name__ == "__main__":
    main()
