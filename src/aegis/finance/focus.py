"""Charges as rows of FOCUS, the FinOps Open Cost and Usage Specification: 1.2, and 1.4 on request.

Columns and their meaning: focus.finops.org, versions 1.2 (May 2025) and 1.4 (June 2026: provider and publisher became
`ServiceProviderName` and `HostProviderName`). AI usage follows the working draft's words: one row for each direction of
tokens, `SkuMeter` "Input Tokens", `PricingUnit` "1000000 Tokens", the model's identity in `SkuPriceDetails` (as `x_` keys
until the draft is adopted). Columns of ours begin with `x_`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final, Literal, NamedTuple

import orjson

from aegis.core.charges import Charge, ChargeKey
from aegis.core.money import format_usd
from aegis.core.prices import MILLION

Version = Literal["1.2", "1.4"]
CURRENCY: Final = "USD"
_DIGITS: Final = Context(prec=28)
"""Of a unit price that is an average: its product with the quantity is the cost again, to the nano-dollar."""


class Sold(NamedTuple):
    """Who sells a service, under which name, and where FOCUS files it."""

    provider: str
    name: str
    category: str
    subcategory: str


_AI: Final = ("AI and Machine Learning", "Generative AI")
_SECURITY: Final = ("Security", "Threat Detection and Response")
_MANAGEMENT: Final = ("Management and Governance", "Other (Management and Governance)")
_INTEGRATION: Final = ("Integration", "Messaging")
SERVICES: Final[Mapping[str, Sold]] = {
    "anthropic": Sold("Anthropic", "Claude API", *_AI),
    "openai": Sold("OpenAI", "OpenAI API", *_AI),
    "azure": Sold("Microsoft", "Azure OpenAI", *_AI),
    "bedrock": Sold("AWS", "Amazon Bedrock", *_AI),
    "athena": Sold("AWS", "Amazon Athena", "Analytics", "Data Processing"),
    "s3": Sold("AWS", "Amazon S3", "Storage", "Object Storage"),
    "cloudwatch": Sold("AWS", "Amazon CloudWatch", "Management and Governance", "Observability"),
    "ce": Sold("AWS", "AWS Cost Explorer", "Management and Governance", "Cost Management"),
    "virustotal": Sold("VirusTotal", "VirusTotal API", *_SECURITY),
    "attack": Sold("MITRE", "ATT&CK", *_SECURITY),
    "twilio": Sold("Twilio", "Twilio Programmable Messaging and Voice", *_INTEGRATION),
}
_TOKENS: Final = "Tokens"
METERS: Final[Mapping[str, tuple[str, str]]] = {
    "input_tokens": ("Input Tokens", _TOKENS),
    "output_tokens": ("Output Tokens", _TOKENS),
    "cache_read_tokens": ("Cache Read Tokens", _TOKENS),
    "cache_write_tokens": ("Cache Write Tokens (5 minutes)", _TOKENS),
    "cache_write_1h_tokens": ("Cache Write Tokens (1 hour)", _TOKENS),
    "prompt_tokens": ("Input Tokens (cached or not)", _TOKENS),
    "web_searches": ("Web Searches", "Searches"),
    "bytes_scanned": ("Data Scanned", "Bytes"),
    "requests": ("Requests", "Requests"),
    "messages": ("Message Segments", "Segments"),
    "minutes": ("Call Minutes", "Minutes"),
    "": ("Usage", "Calls"),
}
_DIRECTIONS: Final = {"input_tokens": "Input", "output_tokens": "Output", "prompt_tokens": "Input"}
_CACHE: Final = {"cache_read_tokens": "Read", "cache_write_tokens": "Write", "cache_write_1h_tokens": "Write"}

COLUMNS_1_2: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId",
    "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    "x_Calls", "x_IncidentId", "x_ModelRequested", "x_ModelServed", "x_PriceSource",
)  # fmt: skip
_RENAMED: Final = {"ProviderName": "HostProviderName", "PublisherName": "ServiceProviderName"}


def columns(version: Version) -> Sequence[str]:
    """The header of a version, in the order of the alphabet, our own columns last."""
    if version == "1.2":
        return COLUMNS_1_2
    ours = [name for name in COLUMNS_1_2 if name.startswith("x_")]
    return (*sorted(_RENAMED.get(name, name) for name in COLUMNS_1_2 if not name.startswith("x_")), *ours)


def rows(charges: Iterable[Charge], version: Version, *, account: str) -> Iterator[Mapping[str, str]]:
    """A row for each charge: text by column, empty for null. `account` names this installation as the billing account."""
    for charge in charges:
        row = {name: "" if value is None else str(value) for name, value in _row(charge, account).items()}
        yield row if version == "1.2" else {_RENAMED.get(name, name): value for name, value in row.items()}


def _row(charge: Charge, account: str) -> Mapping[str, Any]:
    key = charge.key
    sold = SERVICES.get(key.service) or Sold(key.service, key.service, *_MANAGEMENT)
    meter, unit = METERS.get(key.meter, (key.meter.replace("_", " ").title(), "Units"))
    return {
        **_when(key.hour),
        **_who(key, sold, account),
        **_how_much(charge, unit),
        **_what(key, sold, meter),
        "x_Calls": charge.calls,
        "x_IncidentId": key.incident or None,
        "x_ModelRequested": key.wanted or key.model or None,
        "x_ModelServed": key.model or None,
        "x_PriceSource": key.price_source or "ledger",
    }


def _when(hour: datetime) -> Mapping[str, str]:
    month = hour.replace(day=1, hour=0)
    return {
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time((month + timedelta(days=32)).replace(day=1)),
        "ChargePeriodStart": _time(hour),
        "ChargePeriodEnd": _time(hour + timedelta(hours=1)),
    }


def _who(key: ChargeKey, sold: Sold, account: str) -> Mapping[str, str | None]:
    tags = {name: value for name, value in (("team", key.team), ("purpose", key.purpose)) if value}
    return {
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingAccountType": "Aegis installation",
        "InvoiceId": None,
        "InvoiceIssuerName": sold.provider,
        "ProviderName": sold.provider,
        "PublisherName": sold.provider,
        "SubAccountId": key.key or None,
        "SubAccountName": key.key or None,
        "SubAccountType": "Virtual key" if key.key else None,
        "Tags": _json(tags),
    }


def _what(key: ChargeKey, sold: Sold, meter: str) -> Mapping[str, str | None]:
    sku = "/".join(part for part in (key.service, key.model, key.meter or "usage") if part)
    return {
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": " ".join(part for part in (sold.name, key.model, meter.lower()) if part),
        "ChargeFrequency": "Usage-Based",
        "PricingCategory": "Standard",
        "ServiceCategory": sold.category,
        "ServiceName": sold.name,
        "ServiceSubcategory": sold.subcategory,
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceDetails": _details(key),
        "SkuPriceId": f"{sku}/{key.priced_since}" if key.priced_since else sku,
    }


def _how_much(charge: Charge, unit: str) -> Mapping[str, str]:
    """Cost, quantity and the price of one: tokens by the million, as their price lists have them."""
    by_million = unit == _TOKENS
    quantity = Decimal(charge.units) / MILLION if by_million else Decimal(charge.units)
    each = _DIGITS.divide(Decimal(charge.cost).scaleb(-9), quantity) if quantity else Decimal(0)
    costs = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), format_usd(charge.cost))
    return {
        **costs,
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), _plain(each)),
        **dict.fromkeys(("BillingCurrency", "PricingCurrency"), CURRENCY),
        "ConsumedQuantity": str(charge.units),
        "ConsumedUnit": unit,
        "PricingQuantity": _plain(quantity),
        "PricingUnit": f"{MILLION} {unit}" if by_million else unit,
    }


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _details(key: ChargeKey) -> str | None:
    found = {
        "x_ModelDeveloper": SERVICES[key.service].provider if key.service in ("anthropic", "openai") else "",
        "x_ModelId": key.model,
        "x_TokenDirection": _DIRECTIONS.get(key.meter, "Input" if key.meter in _CACHE else ""),
        "x_TokenCacheAction": _CACHE.get(key.meter, ""),
    }
    return _json({name: value for name, value in found.items() if value})


def _json(value: Mapping[str, str]) -> str | None:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
