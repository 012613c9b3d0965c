"""Peers are measured in a virtual environment of their own, so that their packages never meet ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS_MAX = 900


def python_of(name: str, *requirements: str) -> Path:
    """The interpreter of `.bench/NAME`, which is made and filled first if it is not there."""
    folder = ROOT / ".bench" / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists() or stamp.read_text() != " ".join(requirements):
        print(f"installing {' '.join(requirements)} into {folder.relative_to(ROOT)} (once) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=SECONDS_MAX)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-input",
            *requirements,
        ]
        subprocess.run(command, check=True, timeout=SECONDS_MAX, capture_output=True)
        stamp.write_text(" ".join(requirements))
    return python


def node_package(name: str, requirement: str) -> Path:
    """The folder of `.bench/NAME` with a package of npm's in it, which is installed first if it is not there."""
    folder = ROOT / ".bench" / name
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != requirement:
        print(f"installing {requirement} into {folder.relative_to(ROOT)} (once) ...", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), requirement]
        subprocess.run(command, check=True, timeout=SECONDS_MAX, capture_output=True)
        stamp.write_text(requirement)
    return folder


def measured(name: str, script: str, *requirements: str) -> dict[str, Any]:
    """What `bench/peers/SCRIPT` prints on its last line, a JSON object. Raises `CalledProcessError` when it fails."""
    done = subprocess.run(
        [str(python_of(name, *requirements)), str(ROOT / "bench" / "peers" / script)],
        check=True, timeout=SECONDS_MAX, capture_output=True, text=True, cwd=ROOT / ".bench" / name,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
