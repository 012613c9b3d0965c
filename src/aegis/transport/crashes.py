"""Reports Aegis' own crashes through Sentry's SDK, the only place that knows it; imported when it is asked for.

Policy: nothing that Aegis works on leaves with a report: no local variables, no source lines, no texts of the trace, no
breadcrumbs, no integrations that look at the program by themselves; the message is masked once more. A loop that fails over
and over is reported once in ten minutes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Final

from aegis import __version__
from aegis.core.errors import ConfigError
from aegis.core.keyshapes import mask_keys
from aegis.core.plaintext import fit, one_line
from aegis.core.secret import Secret
from aegis.core.telemetry import Happened, LoopFailed

AGAIN_AFTER: Final = timedelta(minutes=10)
CLOSE_S: Final = 2.0
"""What the end of Aegis waits for reports that are under way."""
MESSAGE_CHARS, FRAMES_MAX = 300, 30
_FRAME = re.compile(r'File "(?:[^"\n]*[/\\])?([^"/\\\n]{1,80})", line (\d{1,7}), in ([\w<>.]{1,80})')


def installed() -> Any:
    """The SDK. Raises `ConfigError` when it is missing."""
    try:
        return import_module("sentry_sdk")
    except ImportError as error:
        raise ConfigError("sentry: crashes needs its library; run: pip install 'aegis[sentry]'") from error


class CrashReports:
    """An observer that reports background loops which failed. `load` gives the SDK. Raises `ConfigError` without it."""

    def __init__(self, dsn: Secret, *, environment: str, load: Callable[[], Any] = installed) -> None:
        self._told: dict[str, datetime] = {}
        self._client = load().Client(
            dsn=dsn.reveal(),
            environment=environment,
            release=f"aegis@{__version__}",
            server_name="aegis",
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
        )

    def __call__(self, happened: Happened) -> None:
        if not isinstance(happened, LoopFailed):
            return
        told = self._told.get(happened.loop)
        if told is not None and happened.at - told < AGAIN_AFTER:
            return
        self._told[happened.loop] = happened.at
        self._client.capture_event(crash_event(happened))

    def close(self) -> None:
        """Send what is under way, for a moment, and end."""
        self._client.close(timeout=CLOSE_S)


def crash_event(failed: LoopFailed) -> dict[str, Any]:
    """The event of one failure: which loop, the kind of error with its masked message, and where, by file and line."""
    kind, _, rest = failed.message.partition(": ")
    frames = [
        {"filename": file, "lineno": int(line), "function": function}
        for file, line, function in _FRAME.findall(failed.trace)[-FRAMES_MAX:]
    ]
    value = fit(mask_keys(one_line(rest)), MESSAGE_CHARS)
    exception: dict[str, Any] = {"type": fit(one_line(kind), 80), "value": value}
    if frames:
        exception["stacktrace"] = {"frames": frames}
    return {
        "level": "error",
        "logger": "aegis",
        "platform": "python",
        "exception": {"values": [exception]},
        "tags": {"loop": failed.loop},
    }
