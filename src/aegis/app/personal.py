"""Wires the ways to people by something of their own: the integration of a pager's service, a webhook.

Policy: a contact's address is the reference as it is written, never the secret behind it; what cannot be used stops the
start, with the contact's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aegis.config.settings import Config
from aegis.connectors import pagerduty, webhook
from aegis.core.errors import ConfigError
from aegis.core.ports import Clock, Http, Messenger
from aegis.core.references import Reference, parse_reference
from aegis.core.secret import Secret


def personal(
    config: Config, http: Http, clock: Clock, resolve: Callable[[Reference], Secret]
) -> Mapping[str, Messenger]:
    """Messengers by channel. Raises `ConfigError` for a secret that is missing, or cannot be used."""
    pagers: dict[str, pagerduty.Config] = {}
    places: dict[str, webhook.Config] = {}
    base_url = str(config.connectors.get("pagerduty", {}).get("base_url") or pagerduty.EVENTS_URL)
    for one in config.roster.contacts.values():
        try:
            if key := one.addresses.get("pagerduty"):
                pagers[key] = pagerduty.Config(routing_key=resolve(parse_reference(key)), base_url=base_url)
            if place := one.addresses.get("webhook"):
                address, secret = (resolve(parse_reference(text)) for text in place.rsplit(" ", 1))
                places[place] = webhook.Config(webhook=address, secret=secret)
        except ConfigError as error:
            raise ConfigError(f"contacts: {one.name}: {error}") from error
    return {
        "pagerduty": pagerduty.Pagers(pagers, http, clock=clock),
        "webhook": webhook.Webhooks(places, http, clock=clock),
    }
