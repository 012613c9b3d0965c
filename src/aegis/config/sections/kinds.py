"""The kinds of value a section holds. Each reads the written text and tells editors (JSON Schema) what may stand there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from aegis.config import scalars
from aegis.core.addresses import is_loopback
from aegis.core.buckets import Rate
from aegis.core.errors import ConfigError
from aegis.core.references import Reference, parse_reference

LITERAL_SECRET = "literal_secret"  # noqa: S105 - the name of an error


class Section(BaseModel):
    """A mapping with known keys only. Defaults are written like values, so that people and editors read them alike."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


def written(text: str | list[str]) -> Any:
    """A field whose default is given as it would be written."""
    return Field(default=text)


def _text(parse: Callable[[str], Any]) -> Callable[[object], Any]:
    """A parser that is only ever given text."""

    def read(value: object) -> Any:
        return parse(value if isinstance(value, str) else "")

    return read


def _reference(value: object) -> Reference:
    try:
        return parse_reference(value if isinstance(value, str) else "")
    except ConfigError as error:
        raise PydanticCustomError(LITERAL_SECRET, "{problem}", {"problem": str(error)}) from None


def _address(text: str) -> str:
    wrong = ValueError("must be an https:// address (http:// only for this machine)")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or "@" in parts.netloc or not secure or any(not "!" <= c <= "~" for c in text):
        raise wrong
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise ValueError("must be host:port, such as 127.0.0.1:8787")
    return text


def _duration_or_off(text: str) -> int:
    return 0 if text == "off" else scalars.duration(text)


def _words(value: object) -> object:
    """One word stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _schema(pattern: str, *examples: str, numbers: bool = False) -> WithJsonSchema:
    kinds: str | Sequence[str] = ["string", "number"] if numbers else "string"
    return WithJsonSchema({"type": kinds, "pattern": pattern, "examples": list(examples)})


AMOUNT_PATTERN = r"^\$?\d+(\.\d{1,9})?$"
SIZE_PATTERN = r"^\d+(\.\d+)?\s*([kKMGTP]?(i?B)?)$"

Money = Annotated[int, BeforeValidator(_text(scalars.amount)), _schema(AMOUNT_PATTERN, "5.00", numbers=True)]
Duration = Annotated[int, BeforeValidator(_text(scalars.duration)), _schema(r"^(\d+(ms|s|m|h|d|w))+$", "60s", "30d")]
DurationOrOff = Annotated[
    int, BeforeValidator(_text(_duration_or_off)), _schema(r"^(off|(\d+(ms|s|m|h|d|w))+)$", "5m", "off")
]
Days = Annotated[int, BeforeValidator(_text(scalars.days)), _schema(r"^(\d+[dw])+$", "30d")]
Percent = Annotated[int, BeforeValidator(_text(scalars.percent)), _schema(r"^\d{1,3}\s?%$", "30%")]
RateText = Annotated[
    Rate,
    PlainValidator(_text(scalars.rate)),
    _schema(r"^\d+\s*/\s*\w+(\s+burst\s+\d+)?$", "10/minute", "500/day", "10/minute burst 100"),
]
SecretRef = Annotated[
    Reference,
    PlainValidator(_reference),
    _schema(
        r"^(env|file|keyring|secret):.+$", "env:NAME", "file:/run/secrets/name", "keyring:aegis/name", "secret:name"
    ),
]
Address = Annotated[str, BeforeValidator(_text(_address)), _schema(r"^https?://", "https://slack.com")]
Listen = Annotated[str, BeforeValidator(_text(_listen)), _schema(r"^.+:\d{1,5}$", "127.0.0.1:8787")]
Words = Annotated[list[str], BeforeValidator(_words)]
