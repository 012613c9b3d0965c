"""The rule pack: the rules that come with Aegis, with the user's folders on top.

Policy: a broken file costs only itself and is reported by file and reason. A user's rule with the id of one of ours
replaces it, and `status: deprecated` switches it off: so a rule is tuned by copying it. Two rules of the same id in
the same place are a problem, the first one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from aegis.core.errors import BadInput
from aegis.core.incidents import ObservableKind
from aegis.sigma.reading import parse_rules
from aegis.sigma.rules import Correlation, Filter, Problem, Rule

FILES_MAX = 20_000
"""Five times SigmaHQ's whole collection."""
FILE_BYTES_MAX = 1 << 20
"""A rule file has a few kilobytes; the largest of SigmaHQ has 60."""
FOLDERS_DEEP = 12
_ENDINGS = (".yml", ".yaml")
SHIPPED = "aegis:rules"
"""Where our own files stand, in origins: no folder of a user is called that."""
_EXAMPLES = "\n  match:"
_OFF = frozenset({"deprecated", "unsupported"})
_KINDS = frozenset(get_args(ObservableKind))

Entity = tuple[tuple[str, ObservableKind], ...]
_Document = TypeVar("_Document", Rule, Correlation, Filter)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePack:
    """What detection works with. `entities` says per rule id which fields (and their kinds) a detection is about, in
    order of preference; a rule without an entry leaves it to its log source.
    """

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    filters: tuple[Filter, ...] = ()
    problems: tuple[Problem, ...] = ()
    entities: Mapping[str, Entity]


def load_pack(
    extra_dirs: Iterable[Path] = (),
    *,
    shipped: bool = True,
    off: frozenset[str] = frozenset(),
    tried: Iterable[Path] = (),
    examples: bool = False,
) -> RulePack:
    """The packaged rules (unless `shipped` is false) and those in the user's folders (`*.yml`, `*.yaml`, also below),
    without those whose id or name is in `off`. Never raises for a rule.

    `tried` are files and folders that somebody tries, on top of everything. With `examples` our own rules bring their
    example events, as a user's always do.
    """
    loading = _Loading()
    if shipped:
        loading.place(_packaged(examples=examples))
    for folder in extra_dirs:
        loading.place(_in_folder(folder))
    loading.place(_tried(tried))
    return loading.pack(off)


def is_shipped(origin: str) -> bool:
    """Whether a rule of this origin comes with Aegis."""
    return origin.startswith(f"{SHIPPED}/")


class _Loading:
    """Rules gathered place by place; a later place overrides an earlier one by id."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.correlations: dict[str, Correlation] = {}
        self.filters: dict[str, Filter] = {}
        self.problems: list[Problem] = []

    def place(self, texts: Iterable[tuple[str, str | BadInput]]) -> None:
        seen: dict[str, str] = {}
        for origin, text in texts:
            if isinstance(text, BadInput):
                self.problems.append(Problem(origin=origin, reason=str(text)))
                continue
            parsed = parse_rules(text, origin=origin)
            self.problems.extend(parsed.problems)
            self._keep(parsed.rules, self.rules, seen)
            self._keep(parsed.correlations, self.correlations, seen)
            self._keep(parsed.filters, self.filters, seen)

    def _keep(self, documents: tuple[_Document, ...], kept: dict[str, _Document], seen: dict[str, str]) -> None:
        for document in documents:
            if document.id in seen:
                reason = f"the same id stands in {seen[document.id]}; this one is left out"
                self.problems.append(
                    Problem(origin=document.origin, line=document.line, rule=document.id, reason=reason)
                )
                continue
            seen[document.id] = document.origin
            for others in (self.rules, self.correlations, self.filters):
                others.pop(document.id, None)
            kept[document.id] = document

    def pack(self, off: frozenset[str]) -> RulePack:
        rules = tuple(rule for rule in self.rules.values() if _is_on(rule, off))
        correlations = tuple(rule for rule in self.correlations.values() if _is_on(rule, off))
        both: tuple[Rule | Correlation, ...] = (*rules, *correlations)
        entities = {rule.id: entity for rule in both if (entity := self._entity(rule))}
        return RulePack(
            rules=rules,
            correlations=correlations,
            filters=tuple(self.filters.values()),
            problems=tuple(self.problems),
            entities=entities,
        )

    def _entity(self, rule: Rule | Correlation) -> Entity:
        """`aegis.entity` of a rule: `[{kind: ip, field: source_ip}, ...]`; what is no such list is a problem."""
        written = rule.aegis.get("entity")
        if written is None:
            return ()
        choices = written if isinstance(written, list) else [written]
        if not all(_is_choice(choice) for choice in choices):
            reason = "`aegis.entity` is a list of {kind, field}; its log source decides instead"
            self.problems.append(Problem(origin=rule.origin, line=rule.line, rule=rule.id, reason=reason))
            return ()
        return tuple((choice["field"], cast("ObservableKind", choice["kind"])) for choice in choices)


def _is_on(rule: Rule | Correlation, off: frozenset[str]) -> bool:
    return rule.status not in _OFF and rule.id not in off and (not rule.name or rule.name not in off)


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("field"), str) and choice.get("kind") in _KINDS


def _packaged(*, examples: bool) -> Iterator[tuple[str, str | BadInput]]:
    """Our own files end with their example events, which only who tries them reads: half of the text, else unparsed."""
    for origin, text in _texts(files("aegis.incidents.rules"), SHIPPED, depth=0):
        yield origin, text.partition(_EXAMPLES)[0] if isinstance(text, str) and not examples else text


def _tried(places: Iterable[Path]) -> Iterator[tuple[str, str | BadInput]]:
    for place in places:
        if place.is_file():
            yield str(place), _text(place)
        else:
            yield from _in_folder(place)


def _in_folder(folder: Path) -> Iterator[tuple[str, str | BadInput]]:
    if not folder.is_dir():
        yield str(folder), BadInput("there is no such folder", code="unreadable")
        return
    for count, found in enumerate(_texts(folder, str(folder), depth=0)):
        if count == FILES_MAX:
            yield str(folder), BadInput(f"holds more than {FILES_MAX} rule files; the rest is left out")
            return
        yield found


def _texts(folder: Traversable, name: str, *, depth: int) -> Iterator[tuple[str, str | BadInput]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        origin = f"{name}/{entry.name}"
        if entry.name.endswith(_ENDINGS) and entry.is_file():
            yield origin, _text(entry)
        elif depth < FOLDERS_DEEP and not entry.name.startswith((".", "_")) and entry.is_dir():
            yield from _texts(entry, origin, depth=depth + 1)


def _text(file: Traversable) -> str | BadInput:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            return BadInput(f"larger than {FILE_BYTES_MAX} bytes", code="too_large")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return BadInput("not valid UTF-8", code="invalid_utf8")
    except OSError as error:
        return BadInput(error.strerror or "cannot be read", code="unreadable")
