"""What the API's own document says is so: every refusal is a problem document, also those of the framework.

`python3 dev.py bench api` tries the whole document with schemathesis.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.web.faces import faced

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/incidents?limit=none", None, 422, "not_as_described"),
        ("POST", "/api/silences", {"matchers": []}, 422, "not_as_described"),
        ("PUT", "/api/silences", None, 405, "method_not_allowed"),
        ("GET", "/api/nothing", None, 404, "no_such_path"),
        ("GET", "/api/incidents/a%0Ab", None, 404, "no_such_path"),
        ("GET", "/api/forecast?budget=none", None, 404, "no_such_budget"),
        ("POST", "/api/contacts/nobody/test", None, 404, "no_such_contact"),
    ],
)
async def test_every_refusal_is_a_problem_document(
    tmp_path: Path, method: str, path: str, body: object, status: int, code: str
) -> None:
    async with faced(tmp_path) as face:
        async with face.client.request(method, face.address + path, json=body, headers=face.bearer) as answer:
            said = await answer.json()
            allowed = answer.headers.get("allow", "")
        assert (answer.status, answer.content_type, said["code"]) == (status, "application/problem+json", code)
        assert status != 405 or allowed == "GET, POST", "both, though each has a function of its own"


async def test_the_document_says_so(tmp_path: Path) -> None:
    async with (
        faced(tmp_path) as face,
        face.client.get(f"{face.address}/api/openapi.json", headers=face.bearer) as answer,
    ):
        document = await answer.json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) > 10
    for operation in operations:
        assert set(operation["responses"]["4XX"]["content"]) == {"application/problem+json"}
