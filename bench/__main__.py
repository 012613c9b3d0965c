"""`python3 dev.py bench NAME [...]`: run benchmarks by name and print one JSON object a benchmark."""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import bench


def names() -> list[str]:
    return sorted(
        m.name for m in pkgutil.iter_modules([str(Path(bench.__file__).parent)]) if not m.name.startswith("_")
    )


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in names()]
    if unknown or not chosen:
        print(f"benchmarks: {' '.join(names())}", file=sys.stderr)
        return 2 if unknown else 0
    for name in chosen:
        print(json.dumps({"bench": name, **importlib.import_module(f"bench.{name}").run()}, indent=1))
    return 0


sys.exit(main(sys.argv[1:]))
