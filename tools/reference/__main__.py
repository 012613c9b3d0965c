"""Writes the pages under `docs/reference`: `python3 dev.py reference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.reference.cli_page import cli_page
from tools.reference.config_page import config_page
from tools.reference.errors_page import errors_page
from tools.reference.http_page import http_page

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "config.md": config_page,
    "cli.md": cli_page,
    "http.md": http_page,
    "errors.md": errors_page,
}


def main() -> None:
    for name, made in PAGES.items():
        (FOLDER / name).write_text(made(), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
