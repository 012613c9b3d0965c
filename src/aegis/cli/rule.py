"""`aegis rule`: detection rules before they watch; which there are, what is wrong with them, what they find in logs.

Policy: nothing is opened but the files that are named, nothing is kept, told or spent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, Speaking, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.cli.rule_trial import Counted
    from aegis.incidents.rules.pack import RulePack
    from aegis.incidents.rules.trial import Tried
    from aegis.sigma.rules import Correlation, Filter, Problem, Rule

SHOWN = 10
SHOWN_MAX = 1_000
"""Matching events that are shown: more is what an import into the sandbox is for."""
NO_RULE = "holds no rule that would be used; a filter is tried with the rule that it narrows"
_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)


@click.group(
    cls=Group,
    name="rule",
    examples=("aegis rule list", "aegis rule check rules", "aegis rule test rules/side_door.yml doors.jsonl"),
)
def group() -> None:
    """Detection rules: list, check and try them. Nothing is kept, told or spent."""


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every rule in force: level, title, id, techniques, whether it is shipped or your own. What cannot be used stands
    at the end.
    """
    from aegis.incidents.rules.trial import in_force

    used = in_force(_load(session()))
    if as_json:
        rows = [_row(one) for one in (*used.rules, *used.filters)]
        show_json("rules", rules=rows, problems=[_problem(one) for one in used.problems])
        return
    for one in used.rules:
        show(
            _clean(f"{one.level or '-':<13} {one.title} | {one.id} | {' '.join(one.techniques) or '-'} | {_whose(one)}")
        )
    for filter_ in used.filters:
        show(_clean(f"{'filter':<13} {filter_.title} | {filter_.id} | - | {_whose(filter_)}"))
    _tell(used.problems)


@group.command(
    "check",
    cls=Speaking,
    examples=("aegis rule check", "aegis rule check rules/side_door.yml", "aegis rule check --json"),
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@json_option
def check(paths: tuple[Path, ...], as_json: bool) -> int:
    """Read rule files and folders (none: those of the configuration, and the shipped ones) and name every problem by file
    and line. The examples that a rule carries under `aegis` are tried, too: it has to find `match` and leave `ignore`
    alone. Exits 1 when there is a problem.
    """
    from aegis.incidents.rules.pack import is_shipped
    from aegis.incidents.rules.trial import examine, in_force

    run = session()
    if paths:
        pack = _load(run, tried=paths, examples=True)
        of, known = _below(paths, is_shipped), frozenset(in_force(_load(run, everything=True)).problems)
        found = examine(pack, of=of, known=known)
    else:
        found = examine(_load(run, examples=True), of=bool)
    if as_json:
        counted = {"rules": found.rules, "filters": found.filters, "examples": found.examples}
        show_json("rule-check", ok=not found.problems, **counted, problems=[_problem(one) for one in found.problems])
    else:
        for one in found.problems:
            show(_clean(str(one)))
        say(f"{found.rules} rules, {found.filters} filters, {found.examples} examples tried")
        if found.problems:
            say(f"{len(found.problems)} to put right", bold=True, colour="red")
        else:
            show("ok")
    return Exit.UNEXPECTED if found.problems else Exit.OK


@group.command(
    "test",
    cls=Speaking,
    examples=("aegis rule test rules/side_door.yml doors.jsonl", "aegis rule test ssh_brute_force auth.log.gz --json"),
)
@click.argument("rule", metavar="RULE")
@click.argument("files", nargs=-1, required=True, metavar="EVENTS...", type=_FILE)
@click.option("--at", "pointer", metavar="POINTER", help="Where in each row the event stands, such as /event.")
@click.option(
    "--limit",
    type=click.IntRange(0, SHOWN_MAX),
    default=SHOWN,
    show_default=True,
    help="How many matching events are shown.",
)
@json_option
def test(rule: str, files: tuple[Path, ...], pointer: str | None, limit: int, as_json: bool) -> None:
    """What a rule finds in log files, in every format that `aegis event import` takes. RULE is a file of yours, or the id
    or name of a rule in force. Your filters count, and a correlation counts as it does in earnest: how often the rules matched
    that it is about stands below it.
    """
    from aegis.cli.rule_trial import count
    from aegis.incidents.rules.trial import Trial, counted_by

    pack, rules, problems = _asked(session(), rule)
    trial = Trial(pack, rules, pack.filters)
    problems = tuple(dict.fromkeys((*problems, *trial.problems)))
    unused = {(one.origin, one.line) for one in trial.problems}
    if all((one.origin, one.line) in unused for one in rules):
        raise BadInput("\n".join(_clean(str(one)) for one in problems) or f"{_clean(rule)} {NO_RULE}")
    below = counted_by(pack, rules)
    counted = count(trial, Trial(pack, below, pack.filters), files, at=pointer, shown=limit)
    if as_json:
        rows, counts = ([{**_row(one), "matches": counted.matches[one.id]} for one in some] for some in (rules, below))
        told = [_problem(one) for one in problems]
        show_json("rule-test", **counted.document(), rules=rows, counts=counts, problems=told)
    else:
        _show_counted(counted, rules, below)
        _tell(problems)


def _show_counted(counted: Counted, rules: Sequence[Tried], below: Sequence[Rule]) -> None:
    from aegis.cli.rule_trial import named
    from aegis.sigma.rules import Rule

    aside = f", {counted.rejected} lines could not be read" if counted.rejected else ""
    show(f"{counted.events} events read{aside}, {counted.matched} matched")
    for rule in rules:
        show(_clean(f"{counted.matches[rule.id]:>7} {rule.level or '-':<13} {rule.title}"))
    for rule in below:
        show(_clean(f"{counted.matches[rule.id]:>7} {'counted':<13} {rule.title}"))
    for one in counted.first:
        show(_clean(f"{one.place} {one.line()}"))
    if more := counted.matched - len(counted.first):
        show(f"and {more} more")
    if counted.events and not counted.matches.total():
        wanted = ", ".join(dict.fromkeys(named(rule.logsource) for rule in (*rules, *below) if isinstance(rule, Rule)))
        say(_clean(f"{f'Looked for in {wanted}; the' if wanted else 'The'} events are of {counted.sources()}"))


def _asked(run: Session, rule: str) -> tuple[RulePack, Sequence[Tried], tuple[Problem, ...]]:
    """The rules that RULE names, the pack that they belong to, and what is wrong with their file. Raises `BadInput`."""
    from aegis.incidents.rules.pack import is_shipped
    from aegis.incidents.rules.trial import all_of, rule_called

    file = Path(rule)
    if not file.is_file():
        pack = _load(run)
        found = rule_called(pack, rule)
        if found is None:
            message = f"there is no file and no rule in force called {_clean(rule)!r}; see `aegis rule list`"
            raise BadInput(message, code="no_such_rule")
        return pack, [found], ()
    pack = _load(run, tried=(file,))
    of = _below((file,), is_shipped)
    return (
        pack,
        [one for one in all_of(pack) if of(one.origin)],
        tuple(one for one in pack.problems if of(one.origin)),
    )


def _load(run: Session, *, tried: Sequence[Path] = (), examples: bool = False, everything: bool = False) -> RulePack:
    """The pack of the configuration with what is tried on top; what is tried counts even where `detection.off` names it."""
    from aegis.incidents.rules.pack import load_pack

    rules = run.config().detection
    off = frozenset[str]() if tried or everything else rules.off
    return load_pack(rules.rules, shipped=rules.shipped, off=off, tried=tried, examples=examples)


def _below(paths: Sequence[Path], is_shipped: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether an origin is one of these files, or lies in one of these folders."""
    return lambda origin: not is_shipped(origin) and any(Path(origin).is_relative_to(path) for path in paths)


def _row(one: Rule | Correlation | Filter) -> dict[str, Any]:
    """A rule, correlation or filter as JSON values."""
    kind = type(one).__name__.lower()
    level, name, techniques = (
        getattr(one, word, empty) for word, empty in (("level", ""), ("name", ""), ("techniques", ()))
    )
    return {
        "id": one.id,
        "name": name,
        "title": one.title,
        "kind": kind,
        "level": level,
        "techniques": list(techniques),
        "from": _whose(one),
        "file": one.origin,
    }


def _whose(one: Rule | Correlation | Filter) -> str:
    from aegis.incidents.rules.pack import is_shipped

    return "shipped" if is_shipped(one.origin) else "own"


def _problem(one: Problem) -> dict[str, Any]:
    return {"file": one.origin, "line": one.line, "rule": one.rule, "reason": one.reason}


def _tell(problems: Sequence[Problem]) -> None:
    for one in problems:
        say(f"problem: {_clean(str(one))}", colour="yellow")


def _clean(text: str) -> str:
    """Hostile text on one line, printable, without secrets."""
    from aegis.incidents.detection import clipped

    return session().masked(clipped(text))
