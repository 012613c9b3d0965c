"""EVTX, the binary log of Windows, through the optional `evtx` package."""

from __future__ import annotations

import io
from collections.abc import Iterator

from aegis.core.errors import BadInput

EVTX_MAGIC = b"ElfFile\x00"


def evtx_records(content: bytes) -> Iterator[bytes]:
    """Each record of an EVTX file as JSON text.

    Raises `BadInput`: `unsupported` when the `evtx` package is not installed, `corrupt` where a chunk is damaged
    (everything before it was yielded).
    """
    try:
        from evtx import PyEvtxParser
    except ImportError as error:
        message = "this is a binary Windows log (EVTX): install the extra `evtx`, or convert it to JSON lines first"
        raise BadInput(message, code="unsupported") from error
    try:
        for record in PyEvtxParser(io.BytesIO(content)).records_json():
            yield record["data"].encode()
    except (RuntimeError, OSError, ValueError) as error:
        raise BadInput(f"the EVTX file is damaged: {error}", code="corrupt") from error
