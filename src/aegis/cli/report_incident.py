"""`aegis report incident` and `aegis report write`: the written report of an incident, and what people add to it.

Policy: a file that people have changed is never lost: its sections are taken over into the store, its other lines into the
report, and a file that is no report of ours, or a form that cannot be read back, is left alone.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput
from aegis.incidents.report_record import SECTIONS

if TYPE_CHECKING:
    from aegis.incidents.report_record import Report
    from aegis.stores.reports import SqliteReports

Form = Literal["markdown", "html", "json"]
FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".json": "json"}
"""What the name of a file says about its form; Markdown else."""


@click.command(
    "incident",
    cls=Speaking,
    examples=("aegis report incident inc_01J... --out report.md", "aegis report incident inc_01J... --out report.html"),
)
@click.argument("incident_id")
@click.option("--format", "form", type=click.Choice(["markdown", "html", "json"]), help="Else by --out's name.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file instead of stdout. A report that is there is written anew, and what people wrote into it is kept.",
)
def incident(incident_id: str, form: Form | None, out: Path | None) -> None:
    """The report of one incident: timeline, spending as a curve, who spent it, what was done, avoided and is still to do.

    Root cause, prevention and lessons are people's: write them into the Markdown between its marks, or by `aegis report
    write`.
    """
    import anyio

    form = form or (FORMS.get(out.suffix.lower(), "markdown") if out else "markdown")
    text = anyio.run(_report, session(), incident_id, form, out)
    if out is None:
        show(text.rstrip("\n"))
        return
    _write(out, text)
    say(f"written: {out}")


@click.command(
    "write",
    cls=Speaking,
    examples=("aegis report write inc_01J... root-cause 'A loop in the importer.'",),
)
@click.argument("incident_id")
@click.argument("section", type=click.Choice(list(SECTIONS)))
@click.argument("text", default="")
@json_option
def write(incident_id: str, section: str, text: str, as_json: bool) -> None:
    """Write into a section of an incident's report; without TEXT it is read from stdin. Every form has it from now on."""
    import anyio

    from aegis.stores.reports import SECTION_CHARS_MAX

    words = (text or sys.stdin.read(SECTION_CHARS_MAX)).strip()
    anyio.run(_keep, session(), incident_id, section, words)
    if as_json:
        show_json("report-section", incident=incident_id, section=section, text=words)
    else:
        show(f"{incident_id}: {SECTIONS[section]} has {len(words)} characters")


async def _keep(run: Session, incident_id: str, section: str, words: str) -> None:
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.cli.reading import incident_of, reading
    from aegis.stores.reports import SqliteReports

    async with reading(run) as database:
        known = (await incident_of(database, incident_id)).id
        await SqliteReports(database).write(known, section, words, by=who(run), now=SystemClock().now())


async def _report(run: Session, incident_id: str, form: Form, out: Path | None) -> str:
    """The report's text. What people wrote into a file that is replaced is taken over first."""
    from aegis.app.reports import report_of
    from aegis.app.system import SystemClock
    from aegis.cli.reading import incident_of, reading
    from aegis.incidents.report import markdown_of
    from aegis.incidents.report_kept import signed
    from aegis.stores.reports import SqliteReports

    async with reading(run) as database:
        found = await incident_of(database, incident_id)
        report = await report_of(database, found, run.config().budgets, now=SystemClock().now())
        there = _there(out)
        if there is not None and form == "markdown":
            report = await _taken_over(run, SqliteReports(database), report, there, out)
        elif there is not None:
            _refuse_changed(form, there, out)
    match form:
        case "html":
            from aegis.incidents.report_page import page

            return page(report)
        case "json":
            import orjson

            from aegis.incidents.report_document import report_document

            return orjson.dumps(report_document(report), option=orjson.OPT_INDENT_2).decode() + "\n"
        case "markdown":
            return signed(markdown_of(report))


async def _taken_over(run: Session, reports: SqliteReports, report: Report, there: str, out: Path | None) -> Report:
    """The report with what people wrote into the file, which is in the store from now on."""
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.incidents.report import TO_FILL
    from aegis.incidents.report_kept import merged, read

    try:
        found = read(there)
    except BadInput as refused:
        raise BadInput(f"{out}: {refused}; nothing was written", code=refused.code) from refused
    kept = dict(report.kept)
    for name in SECTIONS:
        theirs = found.sections.get(name, "").replace(TO_FILL, "")
        text = merged(kept.get(name, ""), theirs, changed=name in found.changed)
        if text != kept.get(name, ""):
            kept[name] = text
            await reports.write(report.incident.id, name, text, by=who(run), now=SystemClock().now())
            say(f"{SECTIONS[name]}: taken over from {out}")
    before = tuple(line for line in found.sections.get("elsewhere", "").split("\n") if line.strip())
    elsewhere = tuple(dict.fromkeys([*before, *found.elsewhere]))
    if found.elsewhere:
        say(
            f"{len(found.elsewhere)} lines outside of the marked sections were changed by hand: they stand at the end now"
        )
    return replace(report, kept=kept, elsewhere=elsewhere)


def _there(out: Path | None) -> str | None:
    """The file that is about to be replaced; None when there is none. Raises `BadInput`."""
    from aegis.incidents.report_kept import FILE_BYTES_MAX

    if out is None or not out.exists():
        return None
    try:
        with out.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise BadInput(f"{out} is larger than any report; nothing was written", code="exists")
        return text.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{out} cannot be read ({error}); nothing was written", code="exists") from error


def _refuse_changed(form: Form, there: str, out: Path | None) -> None:
    """HTML and JSON are not read back: what somebody changed in them is left alone. Raises `BadInput`."""
    from aegis.incidents import report_document, report_page

    whole = report_page.as_written(there) if form == "html" else report_document.as_written(there.encode())
    if not whole:
        raise BadInput(
            f"{out} was changed by hand, or is no report of Aegis; nothing was written. Write into the Markdown, or by "
            f"aegis report write",
            code="exists",
        )


def _write(out: Path, text: str) -> None:
    """Whole or not at all."""
    from aegis.core.errors import StoreError

    part = out.with_name(f".{out.name}.partial")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"the report could not be written to {out}: {error.strerror}") from error
