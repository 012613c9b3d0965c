"""An incident report as one HTML page that stands alone: no script, nothing fetched, two themes, fit for print.

Policy: every text is escaped and its addresses are written so that nobody can follow them; the page's own policy allows
its one style sheet, by hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

from aegis.core.plaintext import defang, lines, one_line
from aegis.core.wording import when
from aegis.incidents.report import TO_FILL, Block, Bullets, Facts, Kept, Table, Words, headline, sections
from aegis.incidents.report_record import Report
from aegis.incidents.report_spend import Curve

STYLE: Final = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1c2127; --soft: #5d6670; --line: #dedbd3; --wash: #f1eee7; --mark: #b3541e; --spent: #2c7fb8; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e7e9ec; --soft: #9aa4af; --line: #2d333b; --wash: #1c2127; --mark: #e0965f; --spent: #4c9fd6; }
}
body { margin: 2rem auto; max-width: 56rem; padding: 0 1rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin-bottom: 0; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; } .soft { color: var(--soft); } .warning { border-left: 4px solid var(--mark); padding-left: .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
td:last-child { overflow-wrap: anywhere; min-width: 9rem; } figure { margin: 0 0 1rem; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; } td:first-child { white-space: nowrap; }
.kept { background: var(--wash); padding: .6rem 1rem; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
ul.boxes { list-style: none; padding-left: 0; } ul.boxes li::before { content: "\\2610\\00a0\\00a0"; }
svg { width: 100%; height: auto; } .grid { stroke: var(--line); } .axis { stroke: var(--soft); } .tick { fill: var(--soft); font-size: 11px; }
.line { fill: none; stroke: var(--spent); stroke-width: 2; } .area { fill: var(--spent); opacity: .15; } .dot { fill: var(--spent); } .mark { stroke: var(--soft); stroke-dasharray: 4 4; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { body { margin: 0; max-width: none; background: #fff; color: #000; } h2, h3 { break-after: avoid; } tr, svg { break-inside: avoid; } .wide { overflow: visible; } }
"""
"""Inside the page: it is read from a disk or in a mail, where no other file is at hand."""
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
FOOT: Final = "<!-- aegis:page/1 sha256="


def page(report: Report) -> str:
    """The report as a whole HTML document; its last line is the hash of the rest."""
    title, below = headline(report)
    made = f" · written {when(report.made_at)}" if report.made_at else ""
    parts = [f"<h1>{_text(title)}</h1>", f'<p class="soft">{_text(below)}{made}</p>']
    for section in sections(report):
        inside = "\n".join(filter(None, map(_block, section.blocks)))
        parts.append(f"<section><h2>{_text(section.title)}</h2>\n{inside}</section>")
    body = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )
    return f"{body}{FOOT}{_digest(body)} -->\n"


def as_written(text: str) -> bool:
    """Whether a page is as it was written, or was changed by hand since."""
    body, found, rest = text.rpartition(FOOT)
    return bool(found) and rest.startswith(_digest(body))


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "backslashreplace")).hexdigest()


def _block(block: Block) -> str:
    match block:
        case Facts():
            return "<dl>" + "".join(f"<dt>{_text(n)}</dt><dd>{_text(v)}</dd>" for n, v in block.rows) + "</dl>"
        case Words():
            return _paragraph(block)
        case Table():
            return _table(block)
        case Bullets():
            items = "".join(f"<li>{_text(item)}</li>" for item in block.items)
            return f'<ul class="boxes">{items}</ul>' if block.boxes else f"<ul>{items}</ul>"
        case Kept():
            hint = f"{_text(block.hint)}\n" if block.hint else ""
            words = escape(defang(lines(block.text))) if block.text else f"{hint}{_text(TO_FILL.strip('_'))}"
            return f'<div class="kept">{words}</div>'
        case Curve():
            return f'<figure>{block.svg}<figcaption class="soft">{_text(block.spoken)}</figcaption></figure>'


def _paragraph(words: Words) -> str:
    if not words.text:
        return ""
    text = _text(words.text)
    match words.tone:
        case "head":
            return f"<h3>{text}</h3>"
        case "warning":
            return f'<p class="warning">Warning: {text}</p>'
        case "soft":
            return f'<p class="soft">{text}</p>'
    return f"<p>{text}</p>"


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(value: str) -> str:
    return escape(defang(one_line(value)))
