"""From configuration to the bills that are read: whose figures there are, and with which keys.

Policy: a provider whose key is not there is not asked; AWS, which charges for every question, only when it is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from aegis.app.services import Resolve
from aegis.config.settings import Config
from aegis.connectors.anthropic_bill import AnthropicBill
from aegis.connectors.aws_bill import ATHENA_GROUP, AwsBill, Place
from aegis.connectors.openai_bill import OpenAIBill
from aegis.connectors.twilio_bill import TwilioBill
from aegis.connectors.virustotal_bill import VirusTotalBill
from aegis.core.addresses import is_loopback
from aegis.core.bills import Bill
from aegis.core.errors import ConfigError
from aegis.core.ports import Clock, Governs, Http, NewId
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.transport.aws import AwsClients, make_client

PROVIDERS: Final = ("anthropic", "openai", "aws", "twilio", "virustotal")
NEEDED: Final = {
    "anthropic": "services.anthropic.admin_key",
    "openai": "services.openai.admin_key",
    "twilio": "connectors.twilio",
    "virustotal": "services.virustotal.key",
}
"""What a provider is asked with."""


def bills_of(
    config: Config, http: Http, *, clock: Clock, new_id: NewId, resolve: Resolve, governor: Governs
) -> Sequence[Bill]:
    """The bills that can be read. Raises `ConfigError` for a provider that is named and has no key."""
    named = config.reconcile.providers
    found = {bill.provider: bill for bill in _found(config, http, clock, resolve)}
    if "aws" in named:
        found["aws"] = _aws(config, clock, new_id, governor)
    for provider in named:
        if provider not in found:
            raise ConfigError(f"reconcile.providers names {provider}, which needs {NEEDED[provider]}")
    return [found[provider] for provider in PROVIDERS if provider in found and (not named or provider in named)]


def _found(config: Config, http: Http, clock: Clock, resolve: Resolve) -> Iterator[Bill]:
    anthropic, openai = config.services.get("anthropic"), config.services.get("openai")
    if anthropic is not None and anthropic.admin_key is not None:
        base = anthropic.base_url or "https://api.anthropic.com"
        yield AnthropicBill(http, clock=clock, base_url=base, admin_key=resolve(anthropic.admin_key))
    if openai is not None and openai.admin_key is not None:
        base = openai.base_url or "https://api.openai.com"
        yield OpenAIBill(http, clock=clock, base_url=base, admin_key=resolve(openai.admin_key))
    if (twilio := config.connectors.get("twilio")) is not None:
        yield TwilioBill(
            http,
            clock=clock,
            base_url=str(twilio.get("base_url") or "https://api.twilio.com"),
            account=str(twilio["account"]),
            user=str(twilio.get("api_key") or twilio["account"]),
            token=_secret(twilio["token"], resolve),
        )
    virustotal = config.services.get("virustotal")
    if virustotal is not None and virustotal.key is not None:
        base = virustotal.base_url or "https://www.virustotal.com"
        yield VirusTotalBill(http, clock=clock, base_url=base, key=resolve(virustotal.key))


def _secret(value: object, resolve: Resolve) -> Secret:
    return resolve(value) if isinstance(value, Reference) else Secret(str(value))


def _aws(config: Config, clock: Clock, new_id: NewId, governor: Governs) -> AwsBill:
    """Credentials as the AWS tools find them; a stand-in on this machine is asked with a made-up key."""
    base = config.aws.base_url.rstrip("/")
    stand_in = is_loopback(urlsplit(base).hostname or "")
    bedrock, athena = (dict(config.services[name].options) for name in ("bedrock", "athena"))
    place = Place(
        region=str(bedrock.get("region") or athena.get("region") or config.aws.region),
        explorer=f"{base}/ce" if base else "",
        watch=f"{base}/cloudwatch" if base else "",
        workgroup=str(athena.get("workgroup") or ATHENA_GROUP),
    )
    clients = AwsClients(make=partial(make_client, stand_in=stand_in))
    return AwsBill(clients, governor, clock=clock, new_id=new_id, place=place)
