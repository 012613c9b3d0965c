"""`python3 dev.py bench NAME [...] [--long]`: run benchmarks by name and print one JSON object a benchmark. With `--long`
those that have a full count take it.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path

import bench


def names() -> list[str]:
    return sorted(
        m.name for m in pkgutil.iter_modules([str(Path(bench.__file__).parent)]) if not m.name.startswith("_")
    )


def main(arguments: list[str]) -> int:
    chosen = [name for name in arguments if name != "--long"]
    unknown = [name for name in chosen if name not in names()]
    if unknown or not chosen:
        print(f"benchmarks: {' '.join(names())}", file=sys.stderr)
        return 2 if unknown else 0
    for name in chosen:
        run = importlib.import_module(f"bench.{name}").run
        full = {"long": True} if "--long" in arguments and "long" in inspect.signature(run).parameters else {}
        print(json.dumps({"bench": name, **run(**full)}, indent=1))
    return 0


sys.exit(main(sys.argv[1:]))
