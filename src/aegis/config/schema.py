"""The JSON Schema of `aegis.yaml`, for editors. `aegis.schema.json` in the project's root is this text."""

from __future__ import annotations

import json

from aegis.config.sections.root import RootSection

FILE_NAME = "aegis.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The schema as it is committed and written by `aegis init`."""
    schema = RootSection.model_json_schema(mode="validation")
    for name, section in schema["properties"].items():
        if "anyOf" not in section:  # a section with everything commented out is null, and counts as not written
            keep = {key: section.pop(key) for key in ("default", "description", "title") if key in section}
            schema["properties"][name] = {"anyOf": [section, {"type": "null"}], **keep}
    return json.dumps({"$schema": DIALECT, **schema, "title": "aegis.yaml"}, indent=1, ensure_ascii=False) + "\n"
