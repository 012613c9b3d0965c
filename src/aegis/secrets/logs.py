"""Logs: one JSON object (or one line for people) a record, to one stream, with secrets taken out last of all.

Our own records and those of libraries (the standard `logging`) take the same way. What a processor, a traceback or a
library puts into a line is masked after the line is made, so nothing gets past.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, TextIO

from aegis.core.wording import rfc3339
from aegis.secrets.redaction import Redactor

Fields = MutableMapping[str, Any]

LINE_CHARS_MAX = 64 * 1024
"""A longer record is cut: a hostile event must not fill the disk through its own error message."""


def set_up(
    stream: TextIO, *, redactor: Redactor, now: Callable[[], datetime], as_json: bool = True, level: int = logging.INFO
) -> None:
    """Send every log record of this process to `stream`. Called once, by whoever starts the process; again replaces
    the earlier set-up.
    """
    structlog = _structlog()

    def stamped(_logger: object, _method: str, fields: Fields) -> Fields:
        return {"at": rfc3339(now()), **fields}

    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        stamped,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(structlog, shared, redactor, as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A line that cannot be written must not print the record itself to stderr.
    logging.raiseExceptions = False
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _formatter(structlog: Any, shared: list[Any], redactor: Redactor, *, as_json: bool) -> logging.Formatter:
    """Makes the line: fields masked one by one, then the whole line once more."""

    def masked(_logger: object, _method: str, fields: Fields) -> Fields:
        return {name: redactor.value(value, name=name) for name, value in fields.items()}

    def last(_logger: object, _method: str, line: str) -> str:
        return redactor.text(line)[:LINE_CHARS_MAX]

    formatter: logging.Formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            masked,
            structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else _one_line,
            last,
        ],
    )
    return formatter


def logger(name: str) -> Any:
    """A logger that takes a sentence and fields: `logger("aegis.outbox").info("delivered", service="slack")`."""
    return _structlog().stdlib.get_logger(name)


def _one_line(_logger: object, _method: str, fields: Mapping[str, Any]) -> str:
    rest = {
        name: value for name, value in fields.items() if name not in ("at", "level", "event", "logger", "exception")
    }
    said = " ".join(f"{name}={value}" for name, value in rest.items())
    line = f"{fields.get('at', '')} {str(fields.get('level', '')).upper():<8} {fields.get('event', '')} {said}".rstrip()
    # One record is one line, whatever it holds; only our own traceback may follow it.
    line = line.replace("\r", "\\r").replace("\n", "\\n")
    return f"{line}\n{fields['exception']}" if "exception" in fields else line


def _structlog() -> Any:
    """Structlog without its coloured tracebacks: importing rich for them takes 0.3 s of every start, and a coloured
    traceback shows local variables.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # how Python marks a module that cannot be imported
        try:
            import structlog
        finally:
            del sys.modules["rich"]
        return structlog
    import structlog

    return structlog
