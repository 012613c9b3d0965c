"""The price table: compiled once from the public price list `genai-prices`, kept as JSON, read back in milliseconds.

Policy: prices in the configuration win; services that bill nothing for a request are listed here as free, by name,
so that free is always somebody's statement and never a gap in a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import ROUND_UP, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from aegis.core.errors import BadInput
from aegis.core.money import USD
from aegis.core.prices import MILLION, Listed, Pattern, Price, PriceBook, Tiers, free

SCHEMA: Final = "aegis.prices/2"
LIST: Final = "genai-prices"
PROVIDERS: Final = {"anthropic": "anthropic", "openai": "openai", "aws": "bedrock"}
"""The list's providers that Aegis governs, and what it calls them."""

_SUFFIXES: Final = {"_mtok": ("_tokens", MILLION), "_kcount": ("", 1_000), "_mchars": ("_chars", MILLION)}
"""How the list names a rate, what Aegis calls the meter, and how many units the rate is for."""
_CLAUSES: Final = ("equals", "starts_with", "ends_with", "contains", "regex")

FREE: Final = (
    "attack",
    "virustotal",
    "slack",
    "teams",
    "discord",
    "pagerduty",
    "jira",
    "datadog",
    "splunk",
    "sentry",
    "prometheus",
    "email",
    "cloudwatch",
    "webhook",
    "apprise",
)
"""Services whose bill does not grow with one more request of the kinds that Aegis sends; quotas are budgets on
`requests`. A contract that says otherwise is one line under `prices:`.
"""
ATHENA_PER_MILLION_BYTES: Final = 4_548
"""5.00 USD per TB scanned (aws.amazon.com/athena/pricing, 2026-11), a TB being 2^40 bytes, rounded up."""

EXPLORER_REQUEST: Final = "0.01"
METRIC_READ: Final = "0.00001"
"""USD for a request to Cost Explorer, and for a metric that is read from CloudWatch (aws.amazon.com, price pages, 2026-11)."""

TWILIO: Final = {"us": {"messages": "0.0083", "minutes": "0.014"}, "abroad": {"messages": "0.35", "minutes": "1.50"}}
"""USD for a segment of a text message and a begun minute of a call: the list price within the USA and Canada
(twilio.com, pricing, 2026-11), and elsewhere a ceiling of ours above every ordinary destination, so that an alarm is
neither refused for want of a price nor booked too low. Your own prices go under `prices:` as `twilio/abroad`.
"""


def load_prices(folder: Path | None = None, overrides: Mapping[tuple[str, str], Price] | None = None) -> PriceBook:
    """All prices: the list (compiled into `folder` when it is new there), the shipped ones, then `overrides`."""
    return PriceBook(listed=list(listed(_table(folder))), overrides={**_shipped(), **(overrides or {})})


def compile_list(raw: bytes = b"", source: str = "") -> bytes:
    """The list as integers, in JSON: the installed one, or `raw`, a newer one as its project publishes it. Imports the
    whole list: about 0.8 s of CPU. Raises `BadInput` for bytes that are no such list.
    """
    from genai_prices.data import providers as installed

    providers = _read_list(raw) if raw else installed
    models = [
        [
            PROVIDERS[provider.id],
            model.id,
            list(_patterns(model.match)),
            list(_dated(model.prices)),
            list(_tiers_of(model)),
        ]
        for provider in providers
        if provider.id in PROVIDERS
        for model in provider.models
    ]
    if not models:
        raise BadInput(f"that list prices no model of {', '.join(PROVIDERS)}", code="not_prices")
    return orjson.dumps({"schema": SCHEMA, "source": source or f"{LIST} {version(LIST)}", "models": models})


def _read_list(raw: bytes) -> Any:
    """Providers, read by the list's own package. What its checks let through as nonsense fails in the compiling."""
    from genai_prices.types import _providers_from_raw
    from pydantic import ValidationError

    try:
        return _providers_from_raw(orjson.loads(raw))
    except (orjson.JSONDecodeError, ValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"that is no price list of {LIST} ({type(error).__name__})", code="not_prices") from error


def table_in_use(folder: Path) -> bytes:
    """The compiled table that an Aegis on this state folder reads at its start."""
    return _table(folder)


def keep_table(folder: Path, table: bytes) -> Path:
    """Put a compiled table in the place of the one in use, whole or not at all; it holds from the next start on."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"prices-{version(LIST)}.json"
    # Written beside and moved over, so that a kill in the middle leaves no half table.
    fresh = kept.with_suffix(".new")
    fresh.write_bytes(table)
    fresh.replace(kept)
    return kept


def listed(text: bytes) -> Iterator[Listed]:
    """The models of a compiled table."""
    table = orjson.loads(text)
    for service, name, patterns, dated, tiers in table["models"]:
        plain = Price(service=service, model=name, rates={}, source=table["source"])
        at = {tier: _priced(replace(plain, model=f"{name} ({tier})"), since, rates) for tier, since, rates in tiers}
        yield Listed(
            service=service,
            name=name,
            patterns=tuple(tuple(Pattern(kind, text) for kind, text in group) for group in patterns),
            prices=tuple(_priced(replace(plain, tiers=at), since, rates) for since, rates in dated),
        )


def _priced(price: Price, since: str, rates: Mapping[str, Any]) -> Price:
    """The price with the rates of a compiled table."""
    read = {meter: tuple((above, rate) for above, rate in steps) for meter, steps in rates.items()}
    return replace(price, since=date.fromisoformat(since), rates=read)


def _table(folder: Path | None) -> bytes:
    if folder is None:
        return compile_list()
    kept = folder / f"prices-{version(LIST)}.json"
    if kept.exists():
        text = kept.read_bytes()
        if _whole(text):
            return text
    text = compile_list()
    keep_table(folder, text)
    return text


def _whole(text: bytes) -> bool:
    """Whether a kept table can be used; a damaged one is compiled again."""
    try:
        table = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(table, dict) and table.get("schema") == SCHEMA


def _shipped() -> dict[tuple[str, str], Price]:
    athena = Price(
        service="athena",
        model="",
        rates={"bytes_scanned": ((0, ATHENA_PER_MILLION_BYTES),)},
        source="aws.amazon.com/athena/pricing",
    )
    twilio = {
        ("twilio", where): Price(
            service="twilio",
            model=where,
            rates={meter: ((0, _nanos(Decimal(dollars), 1)),) for meter, dollars in rates.items()},
            source="shipped",
        )
        for where, rates in TWILIO.items()
    }
    aws = {
        (service, model): Price(
            service=service,
            model=model,
            rates={meter: ((0, _nanos(Decimal(dollars), 1)),)},
            source="aws.amazon.com, price pages",
        )
        for service, model, meter, dollars in (
            ("ce", "", "requests", EXPLORER_REQUEST),
            ("cloudwatch", "get-metric-data", "metrics", METRIC_READ),
        )
    }
    return {("athena", ""): athena, **aws, **twilio, **{(service, ""): free(service) for service in FREE}}


def _patterns(clause: Any) -> Iterator[list[tuple[str, str]]]:
    """A clause of the list as alternatives of patterns that must all match."""
    if hasattr(clause, "or_"):
        for part in clause.or_:
            yield from _patterns(part)
    elif hasattr(clause, "and_"):
        yield [pattern for part in clause.and_ for group in _patterns(part) for pattern in group]
    else:
        for name in _CLAUSES:
            if hasattr(clause, name):
                yield [(name.removesuffix("_with"), getattr(clause, name))]


def _dated(prices: Any) -> Iterator[tuple[str, dict[str, Tiers]]]:
    """The prices of a model with the day each begins."""
    for conditional in prices if isinstance(prices, list) else [prices]:
        begins = getattr(getattr(conditional, "constraint", None), "start_date", None) or date.min
        yield begins.isoformat(), dict(_rates(getattr(conditional, "prices", conditional)))


def _tiers_of(model: Any) -> Iterator[tuple[str, str, dict[str, Tiers]]]:
    """Tiers of service with a price of their own, the day it begins, and all rates there: what it does not name costs
    what it costs by the list.
    """
    prices = model.prices[-1] if isinstance(model.prices, list) else model.prices
    listed = dict(_rates(getattr(prices, "prices", prices)))
    for variant in getattr(model, "price_variants", None) or ():
        [tier] = variant.when.values() if len(variant.when) == 1 else [""]
        rates = dict(_rates(variant.prices))
        if tier and rates:
            begins = getattr(variant.constraint, "start_date", None) or date.min
            yield tier, begins.isoformat(), {**listed, **rates}


def _rates(price: Any) -> Iterator[tuple[str, Tiers]]:
    for name, value in vars(price).items():
        for suffix, (ending, units) in _SUFFIXES.items():
            if value is not None and name.endswith(suffix):
                yield name.removesuffix(suffix) + ending, _tiers(value, units)


def _tiers(value: Any, units: int) -> Tiers:
    """One rate, or tiers of rates by prompt length, as nano-dollars per million units, rounded up."""
    steps = [(0, value)]
    if hasattr(value, "base"):
        steps = [(0, value.base), *((tier.start, tier.price) for tier in value.tiers)]
    return tuple((above, _nanos(dollars, units)) for above, dollars in steps)


def _nanos(dollars: Decimal, units: int) -> int:
    if not dollars.is_finite() or dollars < 0:
        raise BadInput("a price that is negative or no number: it would mint money", code="not_prices")
    return int((dollars * USD * MILLION / units).to_integral_value(rounding=ROUND_UP))
