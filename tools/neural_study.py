"""Write results/theory/neural.json and its figure (minutes on one core).

python tools/neural_study.py            # measure and draw
python tools/neural_study.py --draw     # only draw again what was measured
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from autowarmup.lab.theory import neural, neural_figure

OUT = Path(__file__).resolve().parent.parent / "results" / "theory"


def main() -> None:
    """Measure unless told only to draw; draw."""
    if "--draw" not in sys.argv[1:]:
        record = neural.study(command="python tools/neural_study.py")
        neural.write(record, OUT)
    held = json.loads((OUT / neural.FILE).read_text())
    neural_figure.draw(held, OUT / "figures")


if __name__ == "__main__":
    main()
