"""The report in HTML and JSON: what it says, that nothing hostile in it does anything, and that the picture speaks."""

import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser

import orjson
from tests.incidents.attacks import hostile_texts
from tests.incidents.stage import NOON, detection, incident

from aegis.core.incidents import Incident
from aegis.core.money import usd
from aegis.core.stops import Grade, Plan, Stop
from aegis.incidents import report_document, report_page
from aegis.incidents.report import markdown_of, sections
from aegis.incidents.report_record import SECTIONS, Report, Spend, Spent

MS = int(NOON.timestamp() * 1_000)
HOUR = 3_600_000
PLAIN = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "section", "dl", "dt", "dd", "div",
    "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "figure", "figcaption",
    "svg", "desc", "line", "text", "polygon", "polyline", "circle",
}  # fmt: skip
"""Every element a report may have: none of them runs, loads or leads anywhere."""
QUIET = {"class", "lang", "charset", "name", "content", "http-equiv", "scope", "role", "aria-label"}
DRAWN = {"viewbox", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "points", "cx", "cy", "r", "text-anchor"}


def spend(value: str = "importer") -> Spend:
    points = tuple((MS + HOUR * part // 4, usd("0.25") * part) for part in range(1, 5))
    top = {name: (Spent(value=value, calls=3, cost=usd("2.50")),) for name in ("source", "key", "model")}
    about = f"the key {value}"
    return Spend(about=about, since_ms=MS, until_ms=MS + HOUR, points=points, calls=3, refused=2, top=top)


def stop(words: str = "runaway") -> Stop:
    plan = Plan(id="stp_1", grade=Grade.G3, scope={"key": words}, reason=words, by=words, at_ms=MS, burn=usd("4.00"))
    said = ((MS, f"{words} applied the plan"), (MS + HOUR, "Stopped"))
    failed = {f"target docker:{words}": words}
    return Stop(plan=plan, hashed="", state="stopped", applied_ms=MS, said=said, failed=failed, root_cause=words)


def hostile(text: str) -> Report:
    about: Incident = incident(detection(title=text or "x", evidence={"field": text}, source=text))
    kept = dict.fromkeys(SECTIONS, text)
    return Report(
        incident=about,
        spend=spend(text),
        stops=(stop(text),),
        kept=kept,
        elsewhere=(text,),
        made_at=NOON + timedelta(hours=2),
    )


class Elements(HTMLParser):
    """Everything active, or that could be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.wrong += [] if tag in PLAIN else [tag]
        self.wrong += [f"{tag} {name}" for name, _ in attrs if name not in QUIET | DRAWN]


def test_hostile_text_is_inert_in_every_form() -> None:
    for text in hostile_texts():
        inert_everywhere(text)


def inert_everywhere(text: str) -> None:
    report = hostile(text)
    page = report_page.page(report)
    assert Elements(page).wrong == [], text
    assert "://" not in page
    assert not re.search(r"(?i)(javascript|data|mailto):\S", page.replace("default-src", ""))

    document = orjson.loads(orjson.dumps(report_document.report_document(report)))
    assert Elements(f"<p>{document['spend']['svg']}").wrong == []
    assert document["sections"]["lessons"] == text, "in JSON it is a string, as it is on record"

    written = markdown_of(report)
    for name in SECTIONS:  # what people wrote is theirs; everything else is ours
        written = re.sub(rf"(?s)<!-- aegis:begin {name} -->.*?<!-- aegis:end {name} -->", "", written)
    written = re.sub(r"(?s)<!-- aegis:begin elsewhere -->.*?<!-- aegis:end elsewhere -->", "", written)
    assert not re.search(r"(?<!\\)<", written)
    assert "://" not in written


def test_the_page_allows_its_own_style_sheet_and_nothing_else() -> None:
    page = report_page.page(hostile("x"))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"<script| style=| on\w+=|<a |<img|<link", page)


def test_the_curve_says_in_words_what_it_shows_and_stands_as_a_table_too() -> None:
    page = report_page.page(hostile("importer"))
    spoken = re.search(r"<desc>([^<]+)</desc>", page)
    assert spoken is not None
    assert "Spent by the key importer" in spoken[1]
    assert "$2.50 in 3 calls; 2 calls were refused" in spoken[1]
    assert '<svg class="chart" viewBox="0 0 720 240" role="img" aria-label="What was spent">' in page
    for part in ("opened, stopped", "<td>$0.7500</td>", "<td>importer</td><td>3</td><td>$2.5000</td>"):
        assert part in page, part


def test_every_section_of_the_record_is_in_every_form() -> None:
    report = hostile("importer")
    titles = [section.title for section in sections(report)]
    assert titles == [
        "Incident Details", "What Happened", "Evidence", "Spend", "Timeline", "Actions Taken", "Avoided Cost",
        "Root Cause Analysis", "Prevention Measures", "Follow-up Actions", "Lessons Learned", "Written by Hand Elsewhere",
    ]  # fmt: skip
    page, written = report_page.page(report), markdown_of(report)
    for title in titles:
        assert f"<h2>{title}</h2>" in page
        assert f"\n## {title}\n" in written
    document = report_document.report_document(report)
    assert document["avoided"][0]["amount_usd"] == "8.00"
    assert "for the 120 minutes that it stood (at most a day), less $0.00" in document["avoided"][0]["how"]
    assert any("See to docker:importer by hand" in step for step in document["follow_up"])


def test_what_was_changed_in_a_page_or_a_document_is_seen() -> None:
    report = hostile("importer")
    page = report_page.page(report)
    text = orjson.dumps(report_document.report_document(report))
    assert report_page.as_written(page)
    assert report_document.as_written(text)
    assert not report_page.as_written(page.replace("importer", "exporter"))
    assert not report_document.as_written(text.replace(b"importer", b"exporter"))
    for other in ("", "<p>mine</p>", hashlib.sha256(b"").hexdigest()):
        assert not report_page.as_written(other)
        assert not report_document.as_written(other.encode())
