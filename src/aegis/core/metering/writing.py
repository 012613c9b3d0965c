"""Writing what came from outside as JSON again: what was read may be nested deeper than can be written."""

from __future__ import annotations

from typing import Any

import orjson

from aegis.core.errors import BadInput


def written(value: Any, option: int = 0) -> bytes:
    """The JSON of a value that was JSON. Raises `BadInput` where it is nested deeper than 254 levels (orjson's own bound;
    its reader goes to 1,024).
    """
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise BadInput("the body is nested too deeply", code="too_deep") from error
