"""See that wheel and source distribution hold what they should, and nothing large.

python tools/check_dist.py dist
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MOST_WHEEL, MOST_SOURCE = 1_000_000, 2_000_000
"""Bytes."""


def complaints(folder: Path) -> list[str]:
    """Return what is wrong, a line each."""
    (wheel,), (source,) = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as held:
        inside = held.namelist()
    with tarfile.open(source) as held:
        sources = [name.partition("/")[2] for name in held.getnames()]
    found = []
    for path, most in ((wheel, MOST_WHEEL), (source, MOST_SOURCE)):
        if (size := path.stat().st_size) > most:
            found.append(f"{path.name}: expected at most {most:,} bytes, got {size:,}")
    for wanted in ("py.typed", "scheduler.py", "lab/bench/page.html"):
        if f"autowarmup/{wanted}" not in inside:
            found.append(f"{wheel.name}: expected {wanted}, which is not in it")
    other = {name.split("/")[0] for name in inside if not name.startswith("autowarmup")}
    if other:
        found.append(f"{wheel.name}: expected the package alone, got {sorted(other)}")
    for wanted in ("LICENSE", "README.md", "CHANGELOG.md", "src/autowarmup/scheduler.py"):
        if wanted not in sources:
            found.append(f"{source.name}: expected {wanted}, which is not in it")
    results = [name for name in sources if name.startswith(("results", "site"))]
    if results:
        found.append(f"{source.name}: expected no results, got {results[0]} and others")
    return found


def main() -> int:
    """Check the folder named on the command line."""
    folder = Path(sys.argv[1])
    found = complaints(folder)
    held = sorted(folder.iterdir())
    sizes = ", ".join(f"{path.name} {path.stat().st_size:,} bytes" for path in held)
    print("\n".join(found) if found else f"{sizes}: as they should be")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
