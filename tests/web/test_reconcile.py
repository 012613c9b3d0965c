"""Claims about /api/reconcile: what was found is read by whoever may read, asking anew takes another right."""

from pathlib import Path

import pytest
from tests.web.faces import Face, faced

from aegis.core.roles import RIGHTS
from aegis.web.rights import right_for

pytestmark = pytest.mark.anyio


async def _ask(face: Face, method: str, body: object = None) -> tuple[int, dict[str, object]]:
    address = f"{face.address}/api/reconcile"
    async with face.client.request(method, address, headers=face.bearer, json=body) as answer:
        return answer.status, await answer.json()


async def test_before_the_first_comparison_there_is_none(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        status, told = await _ask(face, "GET")
        assert (status, told) == (200, {"schema": "aegis.reconciled/1", "at": None, "problems": {}, "days": []})


async def test_what_was_asked_for_is_read_again_without_asking_anybody(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        status, ran = await _ask(face, "POST", {"days": 1, "providers": ["virustotal"]})
        asked = face.world.received("virustotal").received
        _, told = await _ask(face, "GET")

        assert status == 200
        assert (ran["schema"], ran["problems"], ran["booked_usd"]) == ("aegis.reconcile/1", {}, "0.00")
        assert ran["days"] == told["days"]
        assert [(day["provider"], day["state"]) for day in told["days"]] == [("virustotal", "agrees")]  # type: ignore[attr-defined]
        assert face.world.received("virustotal").received == asked


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"days": 0}, 422),
        ({"days": 32}, 422),
        ({"providers": ["bank"]}, 422),
        ({"more": 1}, 422),
        ({"providers": ["aws"]}, 404),
    ],
    ids=["no days", "too many days", "no such provider", "unknown field", "not read"],
)
async def test_what_cannot_be_asked_for_is_refused(tmp_path: Path, body: object, status: int) -> None:
    async with faced(tmp_path) as face:
        assert (await _ask(face, "POST", body))[0] in (status, 400)


def test_a_viewer_may_look_and_only_who_sets_budgets_may_take_over() -> None:
    assert right_for("GET", "/api/reconcile") in RIGHTS["viewer"]
    right = right_for("POST", "/api/reconcile")
    assert [role for role, rights in RIGHTS.items() if right in rights] == ["budget-admin", "admin"]
