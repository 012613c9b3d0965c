"""Wires what is kept in step at AWS: the account of the configuration, and its two plans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from aegis.config.settings import Config
from aegis.core.addresses import is_loopback
from aegis.core.budgets import Budget
from aegis.core.errors import ConfigError
from aegis.finance import aws_alarms, aws_budgets
from aegis.finance.aws_account import AwsAccount
from aegis.finance.aws_alarms import BILLING_REGION, Watched
from aegis.finance.aws_budgets import COST_SERVICES, MAILS_MAX, Subscriber
from aegis.finance.aws_steps import AwsPlan
from aegis.transport.aws import AwsClients, make_client

Planning: TypeAlias = Callable[[AwsAccount, Config, Sequence[Budget]], Awaitable[AwsPlan]]


def account_of(config: Config) -> AwsAccount:
    """The account whose credentials the AWS tools find; a stand-in on this machine is asked with a made-up key."""
    stand_in = is_loopback(urlsplit(config.aws.base_url).hostname or "")
    return AwsAccount(AwsClients(make=partial(make_client, stand_in=stand_in)), endpoint=config.aws.base_url)


async def budgets_of(config: Config, home: Path) -> Sequence[Budget]:
    """The budgets in force: those of the configuration, with what people set since. Raises `StoreError`."""
    from aegis.app.overrides import SETTING, overridden, read
    from aegis.stores.database import Database
    from aegis.stores.lookups import SqliteLookups

    path = config.store.path(home)
    if not path.exists():
        return config.budgets
    database = await Database.open(path)
    try:
        return overridden(config.budgets, read(await SqliteLookups(database).setting(SETTING)))
    finally:
        await database.close()


async def budgets_plan(account: AwsAccount, config: Config, budgets: Sequence[Budget]) -> AwsPlan:
    """What brings AWS Budgets in step. Raises `ServiceError`, `ConfigError`."""
    settings = config.aws
    if len(settings.mails) > MAILS_MAX:
        raise ConfigError(f"aws.notify is {len(settings.mails)} people; AWS Budgets mails {MAILS_MAX} at most")
    told: set[Subscriber] = {("EMAIL", one) for one in settings.mails}
    told |= {("SNS", topic) for topic in settings.topics[:1]}
    asked, notes = aws_budgets.wanted(
        budgets,
        prefix=settings.prefix,
        subscribers=frozenset(told),
        services={**COST_SERVICES, **settings.cost_services},
    )
    who = await account.who()
    found = await account.budgets(who, settings.prefix)
    return aws_budgets.plan(asked, found, account=who.account, prefix=settings.prefix, notes=notes)


async def alarms_plan(account: AwsAccount, config: Config, budgets: Sequence[Budget]) -> AwsPlan:
    """What brings the alarms in step. Raises `ServiceError`, `ConfigError`."""
    settings, published = config.aws, config.connectors.get("cloudwatch")
    region = settings.region or str((published or {}).get("region", ""))
    if published is not None and not region:
        raise ConfigError("alarms need a region: set aws.region, or region of the connector cloudwatch")
    about = Watched(
        prefix=settings.prefix,
        region=region,
        namespace=str(published.get("namespace", "Aegis")) if published is not None else "",
        budgets=budgets,
        deliveries=sorted(set(config.connectors) - _NEVER_TOLD),
        topics=settings.topics,
    )
    asked, notes = aws_alarms.wanted(about)
    regions = sorted({BILLING_REGION, region} - {""})
    found = await account.alarms(settings.prefix, regions)
    return aws_alarms.plan(asked, found, prefix=settings.prefix, notes=notes)


_NEVER_TOLD: Final = frozenset({"anthropic", "virustotal", "attack", "twilio", "cloudwatch", "prometheus"})
"""Connectors that no message goes to."""
PLANS: Final[Mapping[str, Planning]] = MappingProxyType({"budgets": budgets_plan, "alarms": alarms_plan})
