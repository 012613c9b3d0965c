"""`aegis aws`: AWS Budgets and CloudWatch alarms in step with our own budgets; the Free Tier and the credits that are left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.core.budgets import Budget
    from aegis.finance.aws_account import AwsAccount
    from aegis.finance.aws_free_tier import AccountPlan, FreeTierOffer
    from aegis.finance.aws_steps import AwsPlan, AwsStep

Planning = Callable[["AwsAccount", "Config", "Sequence[Budget]"], Awaitable["AwsPlan"]]
OFFERS_SHOWN = 20


@click.group(
    cls=Group,
    name="aws",
    examples=("aegis aws status", "aegis aws budgets plan", "aegis aws alarms plan --json"),
)
def group() -> None:
    """What AWS itself counts, and its own budgets and alarms beside ours. Needs `pip install 'aegis[aws]'`."""


@group.group("budgets", cls=Group, examples=("aegis aws budgets plan", "aegis aws budgets apply HASH"))
def budgets() -> None:
    """AWS Budgets made of our budgets about AWS, and of those about everything."""


@group.group("alarms", cls=Group, examples=("aegis aws alarms plan", "aegis aws alarms apply HASH"))
def alarms() -> None:
    """CloudWatch alarms on what Aegis publishes there, and on the charges that AWS expects."""


@budgets.command("plan", examples=("aegis aws budgets plan", "aegis aws budgets plan --json"))
@json_option
def budgets_plan(as_json: bool) -> None:
    """Show exactly what would be made, changed and deleted at AWS. Changes nothing."""
    _plan("budgets", as_json)


@budgets.command("apply", examples=("aegis aws budgets apply 3f9c0b7a12de4455",))
@click.argument("hashed", metavar="HASH")
@json_option
def budgets_apply(hashed: str, as_json: bool) -> None:
    """Do exactly the plan with this hash; it is refused when the configuration or AWS has changed since."""
    _apply("budgets", hashed, as_json)


@alarms.command("plan", examples=("aegis aws alarms plan", "aegis aws alarms plan --json"))
@json_option
def alarms_plan(as_json: bool) -> None:
    """Show exactly what would be made, changed and deleted at AWS. Changes nothing."""
    _plan("alarms", as_json)


@alarms.command("apply", examples=("aegis aws alarms apply 3f9c0b7a12de4455",))
@click.argument("hashed", metavar="HASH")
@json_option
def alarms_apply(hashed: str, as_json: bool) -> None:
    """Do exactly the plan with this hash; it is refused when the configuration or AWS has changed since."""
    _apply("alarms", hashed, as_json)


@group.group("topics", cls=Group, examples=("aegis aws topics test",))
def topics() -> None:
    """The SNS topics that budgets and alarms tell."""


@topics.command("test", examples=("aegis aws topics test", "aegis aws topics test --json"))
@json_option
def topics_test(as_json: bool) -> None:
    """Send one harmless message to every topic of `aws.topics`; whoever has subscribed gets it."""
    import anyio

    sent = anyio.run(_tested, session())
    if as_json:
        show_json("aws-topics-tested", topics=[{"topic": topic, "message": message} for topic, message in sent])
        return
    for topic, message in sent:
        show(f"{topic}: sent as {message}")


@group.command("status", examples=("aegis aws status", "aegis aws status --json"))
@json_option
def status(as_json: bool) -> None:
    """The account, what is used of its Free Tier, what is left of its credits, and whether budgets and alarms are in step.

    What these credentials may not read is named, with the permission that is missing.
    """
    import anyio

    found = anyio.run(_status, session())
    if as_json:
        show_json("aws-status", **found.row())
        return
    for line in found.lines():
        show(line)
    for why in found.unread:
        say(why)


def _plan(what: str, as_json: bool) -> None:
    import anyio

    made = anyio.run(_planned, session(), what)
    if as_json:
        show_json(f"aws-{what}-plan", hash=made.hashed, steps=[_row(one) for one in made.steps], notes=list(made.notes))
        return
    _show_plan(made)
    if made.steps:
        show(f"plan {made.hashed[:16]}: {len(made.steps)} changes")
        say(f"To do exactly this: aegis aws {what} apply {made.hashed[:16]}")
    else:
        show("nothing to change: AWS is in step")


def _apply(what: str, hashed: str, as_json: bool) -> None:
    import anyio

    done = anyio.run(_applied, session(), what, hashed, not as_json)
    if as_json:
        show_json(f"aws-{what}-applied", hash=hashed, steps=[_row(one) for one in done])
    else:
        show(f"done: {len(done)} changes" if done else "nothing to change: AWS is in step")


async def _tested(run: Session) -> Sequence[tuple[str, str]]:
    from aegis.app.aws import account_of

    config = run.config()
    if not config.aws.topics:
        raise ConfigError("aws.topics names no topic")
    account, text = account_of(config), "This is a test by Aegis. Nothing has happened, and nothing needs to be done."
    return [(topic, await account.publish(topic, "A test by Aegis", text)) for topic in config.aws.topics]


async def _planned(run: Session, what: str) -> AwsPlan:
    from aegis.app.aws import PLANS, account_of, budgets_of

    config = run.config()
    return await PLANS[what](account_of(config), config, await budgets_of(config, run.home))


async def _applied(run: Session, what: str, hashed: str, aloud: bool) -> Sequence[AwsStep]:
    """The steps that were done; what was meant and what came of it stand on the audit log."""
    from aegis.app.aws import account_of
    from aegis.cli.acting import acting
    from aegis.cli.books import books

    done: list[AwsStep] = []
    async with books(run, make=True) as here:
        by = await acting(run, here, "budget")
        made = await _planned(run, what)
        made.check(hashed)
        facts = {"plan": made.hashed, "changes": str(len(made.steps))}
        await here.audit.note(by, f"aws.{what}.applying", facts)
        try:
            async for step in account_of(here.config).apply(made.steps):
                done.append(step)
                if aloud:
                    show(_line(step))
        except ServiceError:
            say(f"{len(done)} of {len(made.steps)} changes were made; the rest was not: plan again")
            raise
        finally:
            await here.audit.note(by, f"aws.{what}.applied", {**facts, "done": str(len(done))})
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    """What could be read. `changes` are the steps that the plans would take, by what they are about."""

    account: str
    plan: AccountPlan | None
    offers: Sequence[FreeTierOffer]
    changes: dict[str, int]
    unread: Sequence[str]

    def row(self) -> dict[str, Any]:
        left = None
        if self.plan is not None:
            left = {
                "kind": self.plan.kind,
                "status": self.plan.status,
                "credits_left": self.plan.credits or None,
                "credits_unit": self.plan.unit or None,
                "ends_at": self.plan.ends_at or None,
            }
        names = ("service", "usage_type", "used", "forecast", "limit", "unit", "kind")
        offers = [{name: getattr(one, name) for name in names} | {"percent": one.percent} for one in self.offers]
        changes = {f"{what}_changes": count for what, count in self.changes.items()}
        return {"account": self.account, "plan": left, "free_tier": offers, **changes, "unread": list(self.unread)}

    def lines(self) -> Sequence[str]:
        told = [f"account {self.account}"]
        if self.plan is not None:
            ends = f", until {self.plan.ends_at}" if self.plan.ends_at else ""
            told.append(f"plan {self.plan.kind} ({self.plan.status}){ends}")
            told.append(
                f"credits left: {self.plan.credits} {self.plan.unit}" if self.plan.credits else "no credits told"
            )
        for one in self.offers[:OFFERS_SHOWN]:
            used = f"{one.used:,.10g} of {one.limit:,.10g} {one.unit}"
            told.append(f"free tier {one.percent:>5.1f} %  {one.service}, {one.usage_type}: {used}")
        for what, count in self.changes.items():
            told.append(f"{what}: {f'{count} changes wait (aegis aws {what} plan)' if count else 'in step'}")
        return told


async def _status(run: Session) -> _Status:
    from aegis.app.aws import PLANS, account_of, budgets_of

    config = run.config()
    account, unread = account_of(config), list[str]()

    async def ask(asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except ServiceError as error:
            unread.append(str(error))
            return None

    who = await account.who()
    plan, offers = await ask(account.plan_state()), await ask(account.offers())
    changes: dict[str, int] = {}
    held = await budgets_of(config, run.home)
    for what, planned in PLANS.items():
        if (made := await ask(planned(account, config, held))) is not None:
            changes[what] = len(made.steps)
    return _Status(account=who.account, plan=plan, offers=offers or (), changes=changes, unread=unread)


def _show_plan(made: AwsPlan) -> None:
    for one in made.steps:
        show(_line(one))
    for note in made.notes:
        say(note)


def _line(step: AwsStep) -> str:
    from aegis.finance.aws_steps import SIGNS

    return f"{SIGNS[step.verb]} {step.name}: {step.words}"


def _row(step: AwsStep) -> dict[str, Any]:
    """A step, with the very request that is sent."""
    return {
        "verb": step.verb,
        "name": step.name,
        "words": step.words,
        "client": step.client,
        "operation": step.operation,
        "region": step.region,
        "request": dict(step.request),
    }
