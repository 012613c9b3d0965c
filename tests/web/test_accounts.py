"""With accounts, the dashboard and the API ask who you are and what you may; without, everything is as it was."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.routing import Route
from tests.web.faces import BRUTE_FORCE, Face, faced

from aegis.core.roles import RIGHTS, ROLES, RoleName
from aegis.core.secret import Secret
from aegis.stores.database import Database
from aegis.web.access import OPEN_PATHS, SIGNED_PATHS
from aegis.web.dashboard.forms import FIELD
from aegis.web.desk import desk
from aegis.web.feed import Feed
from aegis.web.login import sign_in_routes
from aegis.web.rights import right_for

pytestmark = pytest.mark.anyio

PASSWORD = Secret("correct horse battery")


async def with_accounts(face: Face) -> None:
    for role in reversed(ROLES):  # the first has to be an admin
        await face.app.accounts.add(role, role, PASSWORD, by="test")


async def sign_in(face: Face, name: str, password: str = PASSWORD.reveal()) -> aiohttp.ClientResponse:
    async with face.client.get(f"{face.address}/sign-in") as page:
        token = re.search(r'name="token" value="([^"]+)"', await page.text())
    assert token is not None
    form = {"name": name, "password": password, "token": token[1]}
    async with face.client.post(f"{face.address}/sign-in", data=form, allow_redirects=False) as answer:
        await answer.read()
        return answer


async def form_token(face: Face) -> str:
    """What the forms of this sign-in's pages carry."""
    async with face.client.get(face.address) as page:
        found = re.search(rf'name="{FIELD}" value="([0-9a-f]+)"', await page.text())
    assert found is not None
    return found[1]


async def status(face: Face, method: str, path: str, **more: Any) -> int:
    async with face.client.request(method, f"{face.address}{path}", allow_redirects=False, **more) as answer:
        return answer.status


async def test_a_name_and_a_password_sign_a_browser_in_and_out(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        assert await status(face, "GET", "/api/budgets") == 401
        answer = await sign_in(face, "viewer")
        cookie = answer.headers.getall("Set-Cookie")[0]
        assert answer.status == 303
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert await status(face, "GET", "/api/budgets") == 200
        assert await status(face, "GET", "/") == 200
        headers = {"Origin": face.address}
        assert await status(face, "POST", "/sign-out", headers=headers) == 403, "without the token of its form"
        form = {FIELD: await form_token(face)}
        assert await status(face, "POST", "/sign-out", headers=headers, data=form) == 303
        assert await status(face, "GET", "/api/budgets") == 401


async def test_the_one_time_address_is_of_no_use_with_accounts(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        path = face.access.sign_in_path()
        await with_accounts(face)
        assert await status(face, "GET", path) == 200, "the form"
        assert await status(face, "GET", "/api/budgets") == 401


async def test_the_token_of_the_state_folder_still_counts(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        assert await status(face, "GET", "/api/budgets", headers=face.bearer) == 200


WRITES = {
    ("POST", "/api/events"): "work",
    ("POST", "/api/silences"): "operate",
    ("DELETE", "/api/silences/sil_1"): "operate",
    ("POST", "/api/contacts/ann/test"): "operate",
    ("POST", "/api/incidents/inc_1/acknowledge"): "work",
}


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_what_its_rights_say_and_nothing_else(tmp_path: Path, role: RoleName) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        made, secret = await face.app.accounts.make_token(role, None, lasts=timedelta(days=1), by="test")
        bearer = {"Authorization": f"Bearer {secret.reveal()}"}
        for (method, path), right in WRITES.items():
            refused = await status(face, method, path, headers=bearer) == 403
            assert refused == (right not in RIGHTS[role]), (method, path)
        assert await status(face, "GET", "/api/incidents", headers=bearer) == 200
        await face.app.accounts.revoke_token(made.id, by="test")
        assert await status(face, "GET", "/api/incidents", headers=bearer) == 401


async def test_every_route_is_in_the_table_or_open(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        routes = [*desk(face.app, Feed()).routes, *sign_in_routes(face.app, face.access)]
        found = 0
        for route in flat(routes):
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            if path in OPEN_PATHS or path.startswith(SIGNED_PATHS):
                continue
            for method in route.methods or ():
                found += 1
                assert right_for(method, path), f"{method} {route.path} is in no row of web/rights.py"
        assert found > 10
        assert right_for("POST", "/api/made-up") is None


def flat(routes: Any) -> list[Route]:
    found: list[Route] = []
    for route in routes:
        inner = getattr(route, "original_router", None)  # what FastAPI keeps of a router that was included
        found += flat(inner.routes) if inner else [route] if isinstance(route, Route) else []
    return found


async def test_what_is_in_no_row_is_refused_to_an_admin_too(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await sign_in(face, "admin")
        assert await status(face, "GET", "/api/made-up") == 403


async def test_a_form_without_its_token_signs_nobody_in(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        form = {"name": "admin", "password": PASSWORD.reveal(), "token": "guessed"}
        assert await status(face, "POST", "/sign-in", data=form) == 403
        assert await status(face, "GET", "/api/budgets") == 401


async def test_a_write_by_cookie_has_to_say_where_it_comes_from(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await sign_in(face, "admin")
        path = "/api/silences/sil_1"
        assert await status(face, "DELETE", path) == 403
        assert await status(face, "DELETE", path, headers={"Origin": "https://elsewhere.example"}) == 403
        assert await status(face, "DELETE", path, headers={"Origin": face.address}) == 404


async def test_sign_ins_are_rated_and_told_alike(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        wrong = [(await sign_in(face, name, "wrong password")).status for name in ("admin", "nobody")]
        assert wrong == [403, 403]
        for _ in range(4):
            await sign_in(face, "admin", "wrong password")
        limited = await sign_in(face, "admin")
        assert limited.status == 429
        assert int(limited.headers["Retry-After"]) >= 1
        assert (await sign_in(face, "viewer")).status == 303, "another name is not held up"
        refused = [one for one in await face.app.audit.entries() if one.what == "login.refused"]
        assert {one.who for one in refused} == {"admin", "nobody"}


async def test_a_disabled_account_is_out_at_once(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await sign_in(face, "viewer")
        _, secret = await face.app.accounts.make_token("viewer", None, lasts=timedelta(days=1), by="test")
        await face.app.accounts.disable("viewer", by="test")
        assert await status(face, "GET", "/api/budgets") == 401
        assert await status(face, "GET", "/api/budgets", headers={"Authorization": f"Bearer {secret.reveal()}"}) == 401
        assert (await sign_in(face, "viewer")).status == 403


async def test_no_password_token_or_session_is_in_the_store(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        session = (await sign_in(face, "viewer")).cookies["aegis_session"].value
        _, secret = await face.app.accounts.make_token("viewer", None, lasts=timedelta(days=1), by="test")
    database = await Database.open(tmp_path / "aegis.db")
    await database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for hidden in (session, secret.reveal(), PASSWORD.reveal()):
        assert hidden.encode() not in kept


async def test_an_account_speaks_under_its_own_name(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        _, secret = await face.app.accounts.make_token("analyst", None, lasts=timedelta(days=1), by="test")
        bearer = {"Authorization": f"Bearer {secret.reveal()}"}
        async with face.client.post(f"{face.address}/api/events", data=BRUTE_FORCE, headers=bearer):
            await face.app.finish(wait_ms=0)
        incident = (await face.app.incidents.recent(1))[0]
        word = {"by": "somebody else"}
        async with face.client.post(
            f"{face.address}/api/incidents/{incident.id}/acknowledge", json=word, headers=bearer
        ) as answer:
            assert answer.status == 200
        newest = (await face.app.audit.entries(limit=1))[0]
        assert (newest.who, newest.what) == ("analyst", "incident.acknowledge")
