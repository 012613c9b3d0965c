"""`docs/reference/config.md`: every key of `aegis.yaml` with its kind, default, meaning and an example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel

from aegis.config.sections.kinds import Section
from aegis.config.sections.root import RootSection
from tools.reference import kinds
from tools.reference.examples import EXAMPLES, SECTIONS
from tools.reference.writing import anchor, code, page, sentence, table

INTRO = """\
# Configuration

Every key of `aegis.yaml`. Aegis runs without this file: what is left out keeps its default. The
[guide to the service](../service.md) says how to begin; `aegis init` writes a commented file, `aegis check` says what is
wrong with it by line and column, and `aegis config show --origin` where each value in force was written.

## Where values come from

Later ones win, key by key:

1. the budgets that Aegis ships (`aegis config show --origin budgets` names them),
2. `aegis.yaml` in the configuration folder (`$XDG_CONFIG_HOME/aegis`, `~/.config/aegis`), in the state folder, in the
   working directory, or the one file that `--config` names,
3. `.env` in the working directory and the environment: `AEGIS_SERVER__LISTEN=127.0.0.1:9000` is `server.listen`,
4. `--set server.listen=127.0.0.1:9000` on any command.

Editors check the file while you write: its first line names the JSON Schema, `aegis.schema.json` (`aegis config schema`).

## How values are written

| kind | written | means |
|---|---|---|
| dollars | `5.00`, `$5` | US dollars, up to nine places after the point |
| amount | `10.00`, `10TB`, `25k` | dollars, or units of the budget's meter; k, M, G, T and KiB, MiB, GiB, TiB |
| percentage | `30%` | a share |
| duration | `500ms`, `60s`, `5m`, `1h30m`, `7d`, `2w` | a time |
| days | `30d`, `2w` | whole days |
| rate | `10/minute`, `500/day`, `10/minute burst 100` | calls in a time; `burst` is how many may come at once |
| reference | `env:NAME`, `file:/path`, `keyring:service/name`, `secret:NAME` | where a secret stands; never the secret itself |
| address | `https://example.com` | https, or http on this machine only |
| window | `mon-fri 09:00-17:00 Europe/Berlin`, `daily 22:00-07:00` | hours of the week |
| matcher | `host=web-*`, `severity!=LOW` | what an incident must be |

One word may stand for a list of one. `-` in the column *default* means that there is none; **needed** that the section
cannot do without the key.
"""


EMPTY = '""'


@dataclass(slots=True)
class _Page:
    """What is known while the page is written: the schema of every model, and the heading that each got."""

    schemas: Mapping[str, Any]
    headings: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    models: dict[str, type[BaseModel]] = field(default_factory=dict)
    names: dict[type[BaseModel], str] = field(default_factory=dict)

    def know(self) -> None:
        """Every model by the name that its schema has: its own, or with its module where two are called the same."""
        for model in _models(RootSection, set()):
            whole = f"{model.__module__}.{model.__qualname__}".replace(".", "__")
            name = whole if whole in self.schemas else model.__name__
            self.models[name], self.names[model] = model, name

    def base(self, model: type[BaseModel]) -> str:
        """The nearest section that a section extends and that has its heading; empty where there is none."""
        known = (self.names.get(one, "") for one in model.__mro__[1:])
        return next((name for name in known if name in self.headings), "")

    @property
    def links(self) -> dict[str, str]:
        return {name: f"[`{at}`](#{anchor(at)})" for name, at in self.headings.items()}


def config_page() -> str:
    """The page."""
    schema = RootSection.model_json_schema(mode="validation")
    made = _Page(schemas=schema["$defs"])
    made.know()
    lines = ["## Sections", "", *_contents(schema), *_top(made, schema)]
    return page([*INTRO.split("\n"), *lines])


def rows() -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Every key as (heading.key, schema, meaning): what the tests look at."""
    schema = RootSection.model_json_schema(mode="validation")
    made = _Page(schemas=schema["$defs"])
    made.know()
    _top(made, schema)
    for name, at in made.headings.items():
        for key, of in made.schemas[name].get("properties", {}).items():
            yield f"{at}.{key}", of, _meaning(made, name, key, of)


def _contents(schema: Mapping[str, Any]) -> list[str]:
    names = [f"[`{name}`](#{anchor(name)})" for name in schema["properties"]]
    return [" · ".join(names), ""]


def _top(made: _Page, schema: Mapping[str, Any]) -> list[str]:
    for name, of in schema["properties"].items():
        made.lines += [f"## `{name}`", ""]
        model, inner = kinds.model_of(of), kinds.below(of)
        if said := of.get("description"):
            made.lines += [sentence(said), ""]
        if shown := SECTIONS.get(name):
            made.lines += ["```yaml", *shown.strip("\n").split("\n"), "```", ""]
        if model and model not in made.headings:
            _section(made, model, name, top=True)
        elif inner and inner not in made.headings:
            listed = kinds.bare(of).get("type") == "array"
            _section(made, inner, f"{name}[]" if listed else f"{name}.NAME")
        elif not model and not inner:
            made.lines += [f"A {kinds.kind(of, made.links)}.", ""]
        elif model or inner:
            made.lines += [f"As {made.links[model or inner]}.", ""]
    return made.lines


def _section(made: _Page, name: str, at: str, *, top: bool = False) -> None:
    """A model under its heading: what it is, its keys, then the sections below it that had no heading yet."""
    made.headings[name] = at
    model = made.models[name]
    properties = made.schemas[name].get("properties", {})
    if not top:
        made.lines += [f"### `{at}`", ""]
    if said := sentence(model.__dict__.get("__doc__") or ""):
        made.lines += [said, ""]
    shown = _own(made, model, properties)
    if base := made.base(model):
        made.lines += [f"Everything of {made.links[base]}{', and' if shown else '.'}{':' if shown else ''}", ""]
    nested = _nested(made, shown, at)
    needed = set(made.schemas[name].get("required", ()))
    cells = [_row(made, name, at, key, of, needed=key in needed) for key, of in shown.items()]
    if made.schemas[name].get("additionalProperties"):
        cells.append(
            (
                code("METER"),
                kinds.kind(made.schemas[name]["additionalProperties"], made.links),
                "-",
                sentence("what a million units of a meter cost"),
                code("input_tokens: 3.00"),
            )
        )
    made.lines += table(("key", "kind", "default", "meaning", "example"), cells) if cells else []
    for below, where in nested:
        if made.headings[below] == where:
            _section(made, below, where)


def _own(made: _Page, model: type[BaseModel], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a model's base, where that has its own heading, does not show already."""
    base = made.base(model)
    if not base:
        return dict(properties)
    known = made.schemas[base].get("properties", {})
    return {
        key: of
        for key, of in properties.items()
        if key not in known
        or kinds.default(of) != kinds.default(known[key])
        or kinds.model_of(of) != kinds.model_of(known[key])
    }


def _nested(made: _Page, shown: Mapping[str, Any], at: str) -> list[tuple[str, str]]:
    """The models below, each with the heading that it gets; one that they all extend comes first."""
    found: list[tuple[str, str]] = []
    for key, of in shown.items():
        name = kinds.model_of(of) or kinds.below(of)
        if name:
            listed = kinds.bare(of).get("type") == "array"
            where = f"{at}.{key}" if kinds.model_of(of) else f"{at}.{key}{'[]' if listed else '.NAME'}"
            found.append((name, where))
    bases = {_root_of(made.models[name]) for name, _ in found}
    if len(found) > 1 and len(found) == len(shown) and len(bases) == 1 and (base := bases.pop()):
        found.insert(0, (made.names[base], f"{at}.NAME"))
    new = []
    for name, where in found:
        if name not in made.headings:
            made.headings[name] = where
            new.append((name, where))
    return new


def _root_of(model: type[BaseModel]) -> type[BaseModel] | None:
    """The widest section that a section extends, which may be itself."""
    line = (
        [one for one in model.__mro__ if issubclass(one, Section) and one is not Section]
        if issubclass(model, Section)
        else []
    )
    return line[-1] if line else None


def _row(made: _Page, name: str, at: str, key: str, of: Mapping[str, Any], *, needed: bool) -> tuple[str, ...]:
    default = "**needed**" if needed else code(_default(made.models[name], key, of)) or "-"
    example = EXAMPLES.get(f"{at}.{key}") or _example(key, of)
    return code(key), kinds.kind(of, made.links), default, _meaning(made, name, key, of), code(example)


def _default(model: type[BaseModel], key: str, of: Mapping[str, Any]) -> str:
    """The default as it would be written, also that of a list that is made anew each time."""
    for name, one in model.model_fields.items():
        if (one.alias or name) == key and one.default_factory is not None:
            made = one.get_default(call_default_factory=True, validated_data={})
            return f"[{', '.join(str(part) for part in made)}]" if isinstance(made, list) and made else ""
    return kinds.default(of) if kinds.default(of) not in (EMPTY, "[]") else ""


def _meaning(made: _Page, name: str, key: str, of: Mapping[str, Any]) -> str:
    """What the key says of itself, else what the same key of the section that this one extends says, else its model."""
    for model in made.models[name].__mro__:
        if issubclass(model, BaseModel):
            for field_name, one in model.model_fields.items():
                if (one.alias or field_name) == key and one.description:
                    return sentence(one.description)
    below = kinds.model_of(of) or kinds.below(of)
    return sentence(made.models[below].__doc__ or "") if below else ""


def _example(key: str, of: Mapping[str, Any]) -> str:
    """An example from what the schema knows; empty for a section, which has its own."""
    schema = kinds.bare(of)
    if kinds.model_of(of) or kinds.below(of):
        return ""
    if choices := schema.get("enum"):
        return f"{key}: {next(one for one in reversed(choices) if one != schema.get('default'))}"
    if schema.get("type") == "boolean":
        return f"{key}: {str(not schema.get('default')).lower()}"
    value = kinds.default(schema)
    known = schema.get("examples") or ("",)
    return f"{key}: {value if value not in ('', EMPTY) else known[0]}"


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """A model, those that it extends, and all below it."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for base in model.__mro__[1:]:
        if issubclass(base, Section) and base is not Section:
            yield from _models(base, seen)
    for one in model.model_fields.values():
        for below in _inside(one.annotation):
            yield from _models(below, seen)


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _inside(part)
