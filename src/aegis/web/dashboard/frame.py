"""What every page has around it: the way to the others, who is signed in, and whether calls are admitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aegis import __version__
from aegis.app import App
from aegis.app.shown import Shown
from aegis.core.ledger import Switch
from aegis.core.roles import Person
from aegis.governor.switch import scope_text
from aegis.sandbox.records import Tally
from aegis.web.access import PERSON
from aegis.web.dashboard.forms import FIELD, FORM_TOKEN
from aegis.web.feed import Feed
from aegis.web.latency import Latencies

PAGES: Final[tuple[tuple[str, str], ...]] = (
    ("/", "Now"),
    ("/incidents", "Incidents"),
    ("/spend", "Spend"),
    ("/guardrails", "Guardrails"),
    ("/attack", "ATT&CK"),
    ("/silences", "Silences"),
    ("/stop", "Stop and recover"),
    ("/drills", "Drills"),
    ("/keys", "Keys and audit"),
    ("/sandbox", "Sandbox"),
)
"""In the order in which a person on call needs them."""
DONE: Final[Mapping[str, str]] = {
    "acknowledged": "Acknowledged; everybody who was told hears of it.",
    "resolved": "Resolved.",
    "reopened": "Open again.",
    "noted": "The note is on the timeline.",
    "assigned": "Given over.",
    "silenced": "Silenced.",
    "ended": "The silence is over.",
    "applied": "The stop is being done, step by step.",
    "returning": "The return has begun; each step has to show that it holds.",
    "asked": "Put on record: it waits for a second person.",
    "aborted": "The return is broken off; it is stopped again, as it was.",
    "revoked": "The key may not be used any more.",
    "approved": "Agreed to; it counts from now on.",
    "replayed": "It stands in its queue again.",
}
"""What a page says after an act: a word of ours in the address, never a text from it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Makes pages of one running Aegis. `received` is what a sandbox behind it got (None: there is none)."""

    app: App
    feed: Feed
    latencies: Latencies
    banner: str = ""
    received: Callable[[], Mapping[str, Tally]] | None = None

    @property
    def shown(self) -> Shown:
        assert self.app.shown is not None, "an opened Aegis has what it shows"
        return self.app.shown

    def page(self, request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A template as an answer, in its frame."""
        person: Person = request.scope[PERSON]
        path = request.url.path
        pages = [one for one in PAGES if one[0] != "/sandbox" or self.received is not None]
        return render(
            name,
            status=status,
            banner=self.banner,
            pages=[(href, label, _is_here(href, path)) for href, label in pages],
            person=person,
            may={right: person.may(right) for right in ("read", "work", "operate", "budget", "admin")},
            form_field=Markup(f'<input type="hidden" name="{FIELD}" value="{request.scope.get(FORM_TOKEN, "")}">'),  # noqa: S704 - letters and digits of our own
            done=DONE.get(request.query_params.get("done", ""), ""),
            admitting=calls_state(self.app.governor.stopped()),
            **values,
        )


def who(request: Request) -> str:
    """Who acts, for the record."""
    person: Person = request.scope[PERSON]
    return person.name


def after(path: str, done: str) -> Response:
    """Back to a page once something was done."""
    return RedirectResponse(f"{path}?done={done}" if done else path, 303)


def calls_state(switches: Sequence[Switch]) -> Mapping[str, str]:
    """Whether calls are admitted: a shape, words and a tone."""
    stopped = [one for one in switches if one.stopped and one.grade]
    if any(not one.scope for one in stopped):
        return {"shape": "■", "text": "All calls stopped", "tone": "critical"}
    if stopped:
        first = scope_text(stopped[0].scope)
        text = f"{first} stopped" if len(stopped) == 1 else f"{len(stopped)} scopes stopped"
        return {"shape": "▲", "text": text, "tone": "high"}
    if any(one.stopped for one in switches):
        return {"shape": "▲", "text": "Calls slowed down", "tone": "medium"}
    return {"shape": "●", "text": "Calls admitted", "tone": "good"}


def _is_here(href: str, path: str) -> bool:
    return path == href if href == "/" else path == href or path.startswith(f"{href}/")


def render(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template as an answer; everything that goes in is escaped."""
    page = environment().get_template(name)
    return HTMLResponse(page.render(version=__version__, **values), status)


@cache
def environment() -> Environment:
    """The templates of the package."""
    folder = files("aegis.web") / "templates"

    def source(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    return Environment(
        loader=FunctionLoader(source),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def picture(svg: str) -> Markup:
    """A picture of our own drawing: every text in it is escaped where it is drawn."""
    return Markup(svg)  # noqa: S704 - see above
