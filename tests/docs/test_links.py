"""Every link in every page leads somewhere, every picture says what it shows, every page can be found."""

import re
from functools import cache
from pathlib import Path

import pytest
from tools.reference.writing import anchor

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
OUTSIDE = ("https://", "http://", "mailto:")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """The fragments of a page: of two headings that read the same the second has `-1`."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE):
        one = anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        found[one] = found.get(one, -1) + 1
    return frozenset(f"{one}-{n}" if n else one for one, times in found.items() for n in range(times + 1))


def links(path: Path) -> list[tuple[str, str, str]]:
    """(`!` for a picture, text, target) of every link; a target in a code span is no link."""
    return [found for found in LINK.findall(prose(path)) if f"]({found[2]})" in SPAN.sub("``", prose(path))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong = []
    for _, _, target in links(page):
        if target.startswith(OUTSIDE):
            continue
        file, _, fragment = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        whole = there.exists() and (not fragment or there.suffix != ".md" or fragment in anchors(there))
        if not whole or not there.is_relative_to(ROOT):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_picture_says_what_it_shows(page: Path) -> None:
    assert [target for picture, text, target in links(page) if picture and not text.strip()] == []


def test_every_page_can_be_found_from_the_index() -> None:
    found, left = set[Path](), [ROOT / "docs" / "README.md"]
    while left:
        page = left.pop()
        if page in found:
            continue
        found.add(page)
        files = [
            (page.parent / target.partition("#")[0]).resolve() for _, _, target in links(page) if "://" not in target
        ]
        left += [file for file in files if file.suffix == ".md" and file.is_relative_to(ROOT / "docs")]
    assert [name(page) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in found] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    assert "metrics" in anchors(ROOT / "docs" / "monitoring.md")
    assert "no-such-heading" not in anchors(ROOT / "docs" / "monitoring.md")


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8"))
    assert len(set(named)) > 40
    assert [one for one in named if not (ROOT / one).is_file()] == []


def test_every_alert_names_a_runbook_that_names_the_alert() -> None:
    rules = (ROOT / "src" / "aegis" / "web" / "monitoring" / "aegis.rules.yml").read_text(encoding="utf-8")
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"alert: (\w+).*?Runbook: docs/runbooks/([a-z-]+\.md)", rules, re.DOTALL)
    assert len(found) == rules.count("- alert:")
    for alert, runbook in found:
        assert re.search(rf"\]\({runbook}\) \|.*`{alert}`", index), alert
