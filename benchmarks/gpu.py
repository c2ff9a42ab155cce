"""What is measured on a GPU, in the order of its worth, within the minutes that a card is lent for.

python benchmarks/gpu.py                                # ten minutes; results/gpu/
python benchmarks/gpu.py --minutes 25                   # the training runs get what the rest leaves
python benchmarks/gpu.py --plan                         # only say what would be done
python benchmarks/gpu.py --device cpu --tiny            # every part once, small, on a CPU

Each part is a script of its own; it stores its JSON as it ends, and the name of the card with it. A
part that is stored for this card is not measured again, so that the same command continues where
time ran out. Nothing is downloaded: the texts are those of the Python installation.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
LEAST = 20.0
"""Seconds without which no part is begun: torch alone takes some to load."""


class Part(NamedTuple):
    """One script.

    Attributes:
        name: of the part and of its result.
        words: of its command line; {device}, {out} and {minutes} are filled in.
        share: of the time that is left when it begins, at most.
        result: where in `out` it stores its JSON.
    """

    name: str
    words: tuple[str, ...]
    share: float
    result: str


TRAINING = ("--data", "stdlib", "--tokenizer", "bytes", "--minutes", "{minutes}")
PARTS = (
    Part("syncs", ("gpu_syncs.py", "--out", "{out}/gpu_syncs.json"), 0.3, "gpu_syncs.json"),
    Part(
        "steps",
        ("gpu_steps.py", "--device", "{device}", "--out", "{out}/gpu_steps.json"),
        0.4,
        "gpu_steps.json",
    ),
    Part(
        "probe",
        ("observer_overhead.py", "--device", "{device}", "--out", "{out}/observer.json"),
        0.3,
        "observer.json",
    ),
    Part(
        "fleet",
        ("fleet_speed.py", "--device", "{device}", "--out", "{out}/fleet_speed.json"),
        0.4,
        "fleet_speed.json",
    ),
    Part(
        "training",
        ("llama_warmup.py", "--recipe", "{recipe}", *TRAINING, "--out", "{out}/llama"),
        1.0,
        "llama/{recipe}-muon.json",
    ),
)


def main() -> int:
    """Measure what is missing; return the exit status."""
    asked = parse()
    out = asked.out or (Path(DRY) / "gpu" if DRY else HERE.parent / "results" / "gpu")
    end = time.monotonic() + 60 * asked.minutes
    if asked.plan:
        print(plan(asked, out))
        return 0
    import torch

    from autowarmup.lab.bench.device import checked_device
    from autowarmup.lab.environment import environment

    checked_device(asked.device)
    card = "cpu" if asked.device == "cpu" else torch.cuda.get_device_name(asked.device)
    out.mkdir(parents=True, exist_ok=True)
    index = Path(DRY or out) / "gpu.json"
    held = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    record: dict[str, Any] = held if held.get("card") == card else {"card": card, "parts": {}}
    record |= {"command": " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])}
    record |= {"environment": environment()}
    for part in chosen(asked):
        if record["parts"].get(part.name, {}).get("status") == "measured":
            print(f"{part.name}: stored already", flush=True)
            continue
        left = end - time.monotonic()
        if left * part.share < LEAST:
            record["parts"][part.name] = {"status": f"not begun: {left:.0f} seconds were left"}
        else:
            record["parts"][part.name] = measured(part, asked, out, left * part.share)
        index.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"{part.name}: {record['parts'][part.name]['status']}", flush=True)
    print(index)
    return int(any(row["status"] != "measured" for row in record["parts"].values()))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all parts together")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS])
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that all runs")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and stop")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def chosen(asked: argparse.Namespace) -> list[Part]:
    """Return the parts that are asked for."""
    return [part for part in PARTS if not asked.only or part.name in asked.only]


def recipe(asked: argparse.Namespace) -> str:
    """Return the size of the training runs."""
    return "tiny-cpu" if asked.tiny or asked.device == "cpu" else "llama-124m"


def words(part: Part, asked: argparse.Namespace, out: Path, seconds: float) -> list[str]:
    """Return the command line of a part that may take so many seconds."""
    # The training runs plan themselves: what they start with and end with comes on top.
    minutes = 0.5 if asked.tiny else max(0.5, 0.75 * seconds / 60 - 1)
    fill = {
        "device": asked.device,
        "out": out,
        "recipe": recipe(asked),
        "minutes": f"{minutes:.1f}",
    }
    return [str(HERE / part.words[0]), *(word.format(**fill) for word in part.words[1:])]


def measured(part: Part, asked: argparse.Namespace, out: Path, seconds: float) -> dict[str, Any]:
    """Run one part; return what became of it."""
    result = out / part.result.format(recipe=recipe(asked))
    environment = dict(os.environ) | ({"AUTOWARMUP_BENCH_DRY": str(out)} if asked.tiny else {})
    began, status = time.monotonic(), "measured"
    try:
        done = subprocess.run(
            [sys.executable, *words(part, asked, out, seconds)],
            timeout=seconds,
            capture_output=True,
            text=True,
            env=environment,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
            status = f"failed with {done.returncode}: {last[:300]}"
        elif not result.exists():
            status = "failed: nothing was stored"
    except subprocess.TimeoutExpired:
        status = f"stopped after {seconds:.0f} seconds; what it stored before stays"
    return {
        "status": status,
        "seconds": round(time.monotonic() - began, 1),
        "result": str(result.relative_to(out)),
    }


def plan(asked: argparse.Namespace, out: Path) -> str:
    """Return in words what would be done, if every part took all of its share."""
    left, lines = 60 * asked.minutes, [f"{asked.minutes:g} minutes on {asked.device}, into {out}"]
    for number, part in enumerate(chosen(asked), 1):
        seconds = left * part.share
        command = " ".join(["python", *words(part, asked, out, seconds)])
        lines.append(f"{number}. {part.name}, at most {seconds:.0f} seconds: {command}")
        left -= seconds
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
