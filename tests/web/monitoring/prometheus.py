"""A real Prometheus on loopback that scrapes one fixed page."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection  # noqa: TID251 - a test asks a server that it started
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

READY_S = 60
"""What a busy machine may take until it has scraped once."""


@dataclass(frozen=True)
class Prometheus:
    port: int

    def ask(self, query: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"/api/v1/query?query={quote(query)}")
            return json.load(connection.getresponse())
        finally:
            connection.close()


@contextmanager
def prometheus(folder: Path, page: bytes, rules: str) -> Iterator[Prometheus]:
    """Running until the block ends, after its first scrape of `page`."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Tests stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server, socket.socket() as chosen:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        chosen.close()
        (folder / "aegis.rules.yml").write_text(rules)
        (folder / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "rule_files": ["aegis.rules.yml"],
                    "scrape_configs": [
                        {
                            "job_name": "api-cost-exporter",
                            "static_configs": [{"targets": [f"127.0.0.1:{server.server_address[1]}"]}],
                        }
                    ],
                }
            )
        )
        running = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )
        try:
            yield _scraped(Prometheus(port), running)
        finally:
            running.terminate()
            running.wait(timeout=30)
            server.shutdown()


def _scraped(found: Prometheus, running: "subprocess.Popen[bytes]") -> Prometheus:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        assert running.poll() is None, "prometheus ended at once"
        try:
            if found.ask("aegis_build_info")["data"]["result"]:
                return found
        except (OSError, ValueError):
            pass
        threading.Event().wait(0.2)
    raise AssertionError("prometheus did not scrape")
