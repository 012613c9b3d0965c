"""`aegis`: the table of commands. A line of the table adds one; its module is imported when it is called."""

from __future__ import annotations

import sys
import traceback
from functools import partial
from types import TracebackType
from typing import Any

import click

from aegis import __version__
from aegis.cli.commands import Lazy, Root
from aegis.cli.session import Session

COMMANDS: Lazy = {
    "demo": ("aegis.cli.demo:command", "Watch a recorded attack unfold; no account, no key."),
    "init": ("aegis.cli.init:command", "Write a commented aegis.yaml."),
    "check": ("aegis.cli.check:command", "Check configuration, secrets and store; with --live also every service."),
    "doctor": ("aegis.cli.doctor:command", "What is wrong, found by looking, and what to do next."),
    "config": ("aegis.cli.config:group", "Show the configuration in force and where it comes from."),
    "secrets": ("aegis.cli.secrets:group", "Keep keys and tokens in the encrypted store."),
    "up": ("aegis.cli.up:command", "Take events, work incidents, show the dashboard."),
    "status": ("aegis.cli.status:status", "One screen: health, budgets, breakers, queue, open incidents."),
    "top": ("aegis.cli.status:top", "The same, live."),
    "event": ("aegis.cli.event:group", "Bring in events from files."),
    "rule": ("aegis.cli.rule:group", "Detection rules: list, check and try them."),
    "incident": ("aegis.cli.incident:group", "List, show, acknowledge, resolve and reopen incidents."),
    "silence": ("aegis.cli.silence:group", "Hold messages back for a while; maintenance windows."),
    "route": ("aegis.cli.escalate:route", "Which services are told about an incident, and why."),
    "contact": ("aegis.cli.contact:group", "People who can be told alone; send one a test."),
    "oncall": ("aegis.cli.contact:oncall", "Who is on call."),
    "escalate": ("aegis.cli.escalate:escalate", "Who is told next when nobody acts."),
    "report": ("aegis.cli.report:group", "Written reports from the record."),
    "budget": ("aegis.cli.budget:group", "How every budget stands; set a limit."),
    "spend": ("aegis.cli.spend:command", "What each service, key, model or incident came to."),
    "forecast": ("aegis.cli.forecast:command", "What budgets will come to, how sure that is, when they run out."),
    "export": ("aegis.cli.export:group", "The bill as FOCUS, the journal, incidents as OCSF and CloudEvents."),
    "monitoring": ("aegis.cli.monitoring:group", "What Prometheus and Grafana are given."),
    "simulate": ("aegis.cli.simulate:command", "What the record would have come to under another policy."),
    "replay": ("aegis.cli.replay:command", "Events of files worked again, against the sandbox."),
    "reconcile": ("aegis.cli.reconcile:command", "The ledger beside the providers' own bills; take over what differs."),
    "anomaly": ("aegis.cli.anomaly:group", "Spending that was not as usual, and what drove it."),
    "key": ("aegis.cli.key:group", "Virtual keys for programs that use the gateway."),
    "run": ("aegis.cli.run:command", "Run a program behind the gateway, with a key of its own."),
    "explain": ("aegis.cli.explain:explain", "Why a call was admitted or refused."),
    "price": ("aegis.cli.price:group", "What models and services cost."),
    "stop": ("aegis.cli.stop:stop", "Admit no more calls of a scope; plan and apply an emergency stop."),
    "resume": ("aegis.cli.stop:resume", "Admit them again."),
    "recover": ("aegis.cli.recover:group", "Give back what a plan stopped, step by step."),
    "drill": ("aegis.cli.drill:group", "Rehearse an emergency against the sandbox; scored."),
    "review": ("aegis.cli.review:group", "What people look at every month or quarter."),
    "breaker": ("aegis.cli.breaker:group", "Services cut off because they fail or run away."),
    "throttle": ("aegis.cli.throttle:group", "Budgets that slow calls down as they fill."),
    "queue": ("aegis.cli.queue:group", "Calls that wait for their turn."),
    "cache": ("aegis.cli.cache:group", "Answers that are used again."),
    "model": ("aegis.cli.model:group", "Which model is asked for what, and what it may cost."),
    "outbox": ("aegis.cli.outbox:group", "Deliveries that wait or failed."),
    "notify": ("aegis.cli.notify:group", "Send a test message to a configured service."),
    "inbound": ("aegis.cli.inbound:group", "Webhooks from other services: where to send them, a test of each."),
    "attack": ("aegis.cli.attack:group", "The MITRE ATT&CK catalogue."),
    "account": ("aegis.cli.account:account", "Who may sign in to the dashboard and the API, and as what."),
    "token": ("aegis.cli.account:token", "API tokens of accounts."),
    "approve": ("aegis.cli.approve:approve", "Agree to what waits for a second person."),
    "audit": ("aegis.cli.audit:group", "Who did what and when; whether the record was changed."),
    "db": ("aegis.cli.db:group", "Back up, verify and restore everything that Aegis keeps."),
    "aws": ("aegis.cli.aws:group", "AWS Budgets, CloudWatch alarms and the Free Tier beside our own budgets."),
    "sandbox": ("aegis.cli.sandbox:group", "The stand-in for every outside service."),
    "completion": ("aegis.cli.completion:command", "Print the completion script of a shell."),
}
"""In the order in which people need them."""

root = Root(
    "aegis",
    lazy=COMMANDS,
    help="Answers security incidents with every paid service a team owns, and never overspends one of them.",
    examples=("aegis init", "aegis check --json"),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"aegis {__version__}")
        context.exit()


root.params.insert(
    0,
    click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="The version."
    ),
)


def main() -> Any:
    """Run the command line; ends the process with the exit code."""
    run = Session()
    sys.excepthook = partial(_unexpected, run)
    return root(prog_name="aegis", obj=run)


def _unexpected(run: Session, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nobody expected as Python does, but without the secrets in it."""
    sys.stderr.write(run.masked("".join(traceback.format_exception(kind, error, trace))))
