"""Drives a real headless Chromium over its DevTools protocol: one page at a time, pictures, and what it complains about."""

import asyncio
import base64
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STARTS_WITHIN_SECONDS, ANSWERS_WITHIN_SECONDS = 120, 90
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Page:
    """One open page. `complaints` are console errors, CSP violations and uncaught exceptions."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self.complaints: list[str] = []

    async def ask(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        with anyio.fail_after(ANSWERS_WITHIN_SECONDS):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == self._number:
                    assert "error" not in message, message
                    return dict(message["result"])
                self._hear(message)

    def _hear(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"].get("text")))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                self.complaints.append(str(parameters["args"]))

    async def open(self, address: str, *, width: int, height: int, dark: bool = False) -> None:
        """Load an address at a size and wait until it stands."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.ask("Emulation.setEmulatedMedia", features=scheme)
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.ask("Page.navigate", url=address)
        for _ in range(ANSWERS_WITHIN_SECONDS * 20):
            if await self.value("document.readyState === 'complete' && location.href !== 'about:blank'"):
                return
            await anyio.sleep(0.05)
        raise TimeoutError(address)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to on the page."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        """One key, down and up: `Tab`, `Enter`, ..."""
        code = {"Tab": 9, "Enter": 13, "Space": 32}[key]
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        one = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **one, **({"text": text} if text else {}))
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **one)

    async def write(self, text: str) -> None:
        """Text, as if typed where the keyboard is."""
        await self.ask("Input.insertText", text=text)

    async def tab_to(self, found: str, *, most: int = 120) -> None:
        """Press Tab until what has the focus makes a JavaScript expression of `it` true."""
        for _ in range(most):
            await self.press("Tab")
            if await self.value(f"(it => Boolean({found}))(document.activeElement)"):
                return
        raise AssertionError(f"the keyboard does not reach {found}")

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true and the page stands."""
        for _ in range(ANSWERS_WITHIN_SECONDS * 20):
            if await self.value(f"document.readyState === 'complete' && Boolean({expression})"):
                return
            await anyio.sleep(0.05)
        raise TimeoutError(expression)

    async def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        answer = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        await anyio.Path(file).write_bytes(base64.b64decode(answer["data"]))


@asynccontextmanager
async def chromium(*, headers: Mapping[str, str]) -> AsyncIterator[Page]:
    """A fresh browser with one page that sends `headers` with every request; ended by its own pid."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.DEVNULL
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as client:
                async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    target = next(one for one in await answer.json() if one["type"] == "page")
                async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=64 << 20) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await page.ask(f"{domain}.enable")
                    await page.ask("Network.setExtraHTTPHeaders", headers=dict(headers))
                    yield page
        finally:
            os.kill(process.pid, signal.SIGTERM)
            await process.wait()


async def _port(file: Path) -> int:
    for _ in range(STARTS_WITHIN_SECONDS * 20):
        if await anyio.Path(file).exists() and (text := await anyio.Path(file).read_text()):
            return int(text.splitlines()[0])
        await anyio.sleep(0.05)
    raise TimeoutError("Chromium did not start")
