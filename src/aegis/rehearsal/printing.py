"""What a person sees of a rehearsal in the terminal: the feed line by line, then the table and the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aegis.core.feed import Tone, feed_line
from aegis.core.money import show_usd, usd
from aegis.core.telemetry import Happened
from aegis.rehearsal.answering import Answered

STYLES: Mapping[Tone, str] = {
    "quiet": "dim",
    "low": "blue",
    "medium": "yellow",
    "high": "bold yellow",
    "critical": "bold red",
    "good": "green",
    "bad": "red",
}
LINE_CHARS = 56
"""Of a service's first line: what fits beside the numbers in a terminal of 100 columns."""


class Printer:
    """Prints a story to a terminal. Also an observer: give it to the parts that tell what happens."""

    def __init__(self, console: Console, *, repeats_shown: int = 2) -> None:
        self._console, self._repeats_shown = console, repeats_shown
        self._seen: dict[str, int] = {}

    def opening(self, address: str) -> None:
        """The banner and the dashboard's address."""
        self._console.print("[bold]Aegis demo[/]  nothing leaves this machine; keys in the environment are not read")
        self._console.print(Text(f"Dashboard   {address}", style="cyan"), soft_wrap=True)
        self._console.print()

    def chapter(self, at: datetime, title: str) -> None:
        """A heading of the story."""
        self._console.print()
        self._console.print(Text(f"{at:%H:%M:%S}  {title}", style="bold reverse"))

    def stop(self, at: datetime, text: str) -> None:
        """What an emergency stop or its return did."""
        tone: Tone = "good" if text.startswith(("Returned", "gave back")) or "admitted" in text else "critical"
        self._line(at, "stop", text[:1].upper() + text[1:], tone)

    def answered(self, told: Answered) -> None:
        """Who answered a page, and what everybody else knows of it."""
        who = told.by.capitalize()
        self._line(told.at, "chat", f"{who} presses Acknowledge in Slack; Slack shows: {told.slack}", "good")
        self._line(told.at, "pager", f"PagerDuty: {told.pagerduty}", "good")
        self._line(told.at, "ticket", f"{told.jira}: {told.jira_status}, commented", "good")
        ended = f"escalation ends at step {told.steps} ({told.escalation}): nobody else is woken"
        self._line(told.at, "people", ended, "good")

    def __call__(self, happened: Happened) -> None:
        """A line of the feed; the same sentence is shown a few times, then only counted."""
        line = feed_line(happened)
        if line is None:
            return
        times = self._seen[line.text] = self._seen.get(line.text, 0) + 1
        if times > self._repeats_shown:
            return
        more = " (again; further repeats are only counted)" if times == self._repeats_shown else ""
        self._line(line.at, line.kind, line.text + more, line.tone)

    def _line(self, at: datetime, kind: str, words: str, tone: Tone) -> None:
        text = Text(f"{at:%H:%M:%S}  ", style="dim")
        text.append(f"{kind:<10}", style="dim")
        text.append(words, style=STYLES[tone])
        self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)

    def table(self, summary: Mapping[str, Any], first_lines: Mapping[str, str]) -> None:
        """What each service would have received."""
        self._console.print()
        table = Table(title="What each service would have received", title_justify="left", title_style="bold")
        table.add_column("service")
        table.add_column("count", justify="right")
        table.add_column("refused", justify="right")
        table.add_column("cost", justify="right")
        table.add_column("first line", overflow="fold")
        for name, row in summary["services"].items():
            if not (row["received"] or row["refused"]):
                continue
            line = first_lines.get(name, "").partition("\n")[0]
            shown = line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"
            cost = show_usd(usd(row["cost_usd"]), decimals=4) if row["cost_usd"] != "0.00" else "free"
            table.add_row(name, str(row["received"]), str(row["refused"] or ""), cost, Text(shown))
        self._console.print(table)

    def closing(self, summary: Mapping[str, Any], report: Path) -> None:
        """The sums, and where the report is."""
        incidents = ", ".join(f"{count} {name}" for name, count in reversed(summary["incidents"].items()) if count)
        analyses = summary["analyses"]
        self._console.print(
            f"{summary['events']} events, {summary['detections']} detections, incidents: {incidents}.\n"
            f"Analyses: {analyses['model']} by a model, {analyses['cached']} from the cache, {analyses['offline']} offline. "
            f"Spent ${summary['spent_usd']} of a budget of ${summary['budget_usd']} a day over two days.\n"
            f"{_returned(summary['stop'])}"
        )
        self._console.print(Text(f"Incident report: {report}"), soft_wrap=True)


def _returned(stop: Mapping[str, Any]) -> str:
    """The stop and its return in a sentence: `returned; 14 of 120 calls at 10 %, 20 of 40 calls at 50 %, ...`."""
    about = ", ".join(f"{name} {value}" for name, value in stop["scope"].items())
    steps = ", ".join(
        f"{step['calls_made']} of {step['calls_tried']} calls at {step['share_percent']} %" for step in stop["ramp"]
    )
    return f"Emergency stop {stop['grade']} of {about}: {stop['state']}; {steps}."
