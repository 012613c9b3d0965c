"""Exit codes, so that cron and CI can branch without reading text."""

from __future__ import annotations

from enum import IntEnum

from aegis.core.errors import AegisError, BadInput, ConfigError, Refused, ServiceError


class Exit(IntEnum):
    """10 to 12 are for the commands that check budgets; 75 is EX_TEMPFAIL of sysexits.h."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG = 3
    NOT_FOUND = 4
    FORBIDDEN = 5
    REMOTE = 6
    WARNING = 10
    CRITICAL = 11
    EMERGENCY = 12
    TEMPORARY = 75
    INTERRUPTED = 130


def exit_for(error: AegisError) -> Exit:
    """The code that an error ends a command with."""
    match error:
        case ConfigError():
            return Exit.CONFIG
        case BadInput():
            return Exit.NOT_FOUND if error.code.startswith("no_such_") else Exit.USAGE
        case Refused():
            return Exit.TEMPORARY
        case ServiceError(status=401 | 403):
            return Exit.FORBIDDEN
        case ServiceError():
            return Exit.REMOTE
    return Exit.UNEXPECTED
