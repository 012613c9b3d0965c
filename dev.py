#!/usr/bin/env python3
"""Everything a developer runs, with nothing but git and Python 3.11: `python3 dev.py COMMAND`.

    setup          make .venv from the hash-locked core file and stop
    demo [...]     run `aegis demo` (a recorded attack against a sandbox; no account, no key)
    test [--long]  format, lint, types, import rules and the whole test suite
    bench [NAME]   print benchmark figures as JSON (`bench` alone lists the names)
    reference      write docs/reference again from the code
    lock           compile locks/*.txt again from pyproject.toml (developers only)

Standard library only: this file makes the environment that everything else needs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)
PEERS = {"chromium": "chromium", "promtool": "prometheus"}
APT_SECONDS_MAX = 240
AXE = "axe-core@4.14.1"


def fail(message: str) -> None:
    """End with one sentence that says what to do."""
    sys.exit(f"dev.py: {message}")


def run(*command: str | Path, **extra: str) -> None:
    """Run a command in the project's root; stop everything when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **extra}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def digest(lock: str) -> str:
    return hashlib.sha256((ROOT / "locks" / lock).read_bytes()).hexdigest()


def installer(python: Path) -> list[str]:
    """The fastest installer at hand: uv, else the pip that is already here, else a pip of our own."""
    pins = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", str(python), *pins]
    quiet = ["-qq", "--disable-pip-version-check", "--no-input", "--no-compile"]
    have = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if have.returncode == 0:
        return [sys.executable, "-m", "pip", "--python", str(python), "install", *quiet, *pins]
    try:
        run(python, "-m", "ensurepip", "--default-pip")
    except SystemExit:
        fail("this Python has no pip; on Debian or Ubuntu: apt-get install python3-venv python3-pip")
    return [str(python), "-m", "pip", "install", *quiet, *pins]


def setup(lock: str) -> None:
    """Make `.venv` hold exactly what `lock` pins, once: a stamp remembers the digest of the lock."""
    if sys.version_info < OLDEST:
        fail(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}")
    stamp = VENV / f"installed-{lock}"
    if stamp.exists() and stamp.read_text() == digest(lock):
        return
    started = time.monotonic()
    print(f"setting up .venv from locks/{lock} (once, about 15 s) ...", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=False, symlinks=os.name != "nt")
    command = installer(PYTHON)
    if os.environ.get("AEGIS_OFFLINE"):
        command += ["--no-index", "--find-links", str(ROOT / "wheelhouse")]
    run(*command, "-r", ROOT / "locks" / lock)
    link_sources()
    stamp.write_text(digest(lock))
    print(f"ready in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def link_sources() -> None:
    """Put `src` on the environment's path and an `aegis` command beside its Python."""
    site = next(VENV.glob("lib/python*/site-packages"), VENV / "Lib" / "site-packages")
    (site / "aegis-source.pth").write_text(f"{ROOT / 'src'}\n")
    command = BIN / "aegis"
    command.write_text(f"#!{PYTHON}\nimport sys\nfrom aegis.cli.main import main\nsys.exit(main())\n")
    command.chmod(0o755)


def demo(arguments: list[str]) -> None:
    if not (VENV / "installed-dev.txt").exists():
        setup("core.txt")
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "aegis", "demo", *arguments])


def peers() -> None:
    """Install what the tests are tried against and Python's packages do not hold: Chromium and promtool.

    Only as root on a machine with apt-get; elsewhere the tests that need them skip and say so.
    """
    missing = [package for command, package in PEERS.items() if not shutil.which(command)]
    if not missing or not shutil.which("apt-get") or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    print(f"installing {' and '.join(missing)} for the tests ...", file=sys.stderr, flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            run_quietly = ["apt-get", *command]
            subprocess.run(run_quietly, check=True, timeout=APT_SECONDS_MAX, stdout=subprocess.DEVNULL, env=env)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"not installed ({error}); the tests that need them skip", file=sys.stderr, flush=True)


def axe() -> None:
    """Ask npm, where there is one, for the checker that looks at the dashboard's pages; without it those tests skip."""
    folder = VENV / "peers"
    if not shutil.which("npm") or (folder / "node_modules" / "axe-core").is_dir():
        return
    command = [
        "npm",
        "install",
        "--prefix",
        str(folder),
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        AXE,
    ]
    try:
        subprocess.run(
            command, check=True, timeout=APT_SECONDS_MAX, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"axe-core is not installed ({error}); the tests that need it skip", file=sys.stderr, flush=True)


def test(arguments: list[str]) -> None:
    setup("dev.txt")
    peers()
    axe()
    chosen = [a for a in arguments if a != "--long"]
    if not chosen:
        run(PYTHON, "-m", "ruff", "format", "--check", ".")
        run(PYTHON, "-m", "ruff", "check", ".")
        run(PYTHON, "-m", "mypy")
        run(BIN / "lint-imports")
    long = ["--long"] if "--long" in arguments else []
    # A worker for each core; the long proofs are run one after the other, so that they do not slow each other down.
    spread = [] if chosen or long else ["-n", str(os.cpu_count() or 1), "--dist", "worksteal"]
    run(PYTHON, "-m", "pytest", *long, *spread, *chosen)


def bench(arguments: list[str]) -> None:
    setup("dev.txt")
    run(PYTHON, "-m", "bench", *arguments, PYTHONPATH=str(ROOT))


def reference(_: list[str]) -> None:
    setup("dev.txt")
    run(PYTHON, "-m", "tools.reference", PYTHONPATH=str(ROOT))


def lock(_: list[str]) -> None:
    """Compile the three locks: hashes, no address, good for every Python from 3.11 on."""
    setup("dev.txt")
    compile_ = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    compile_ += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate", "pyproject.toml"]
    if not shutil.which("uv"):
        fail("`lock` needs uv on the PATH")
    run(*compile_, "-o", "locks/core.txt")
    run(*compile_, "--group", "dev", "-c", "locks/core.txt", "-o", "locks/dev.txt")
    run(*compile_, "--all-extras", "--group", "dev", "-c", "locks/dev.txt", "-o", "locks/all.txt")


COMMANDS = {
    "setup": lambda _: setup("core.txt"),
    "demo": demo,
    "test": test,
    "bench": bench,
    "reference": reference,
    "lock": lock,
}


def main() -> None:
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name not in COMMANDS:
        print(__doc__)
        sys.exit(0 if name in ("", "-h", "--help", "help") else 2)
    COMMANDS[name](arguments)


if __name__ == "__main__":
    main()
