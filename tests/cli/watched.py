"""`aegis` under watch: run as `watched.py FILE ARGUMENTS...`; every address it connects to or looks up goes to FILE."""

import sys
from typing import Any

from aegis.cli.main import root
from aegis.cli.session import Session

if __name__ == "__main__":
    seen = open(sys.argv[1], "a", buffering=1)  # noqa: SIM115, PTH123 - until the process ends

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            seen.write(f"connect {arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]}\n")
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            name = arguments[0]
            seen.write(f"look-up {name.decode() if isinstance(name, bytes) else name}\n")

    sys.addaudithook(watch)
    root(sys.argv[2:], prog_name="aegis", obj=Session())
