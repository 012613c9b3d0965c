"""The pages by their words and numbers: one count behind each total, forms only from our own pages, roles act by act."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.web.faces import BRUTE_FORCE, Face, faced
from tests.web.test_accounts import form_token, sign_in, with_accounts

from aegis.app import approving
from aegis.app.overrides import Override
from aegis.core.incidents import Severity
from aegis.core.money import show_usd, usd
from aegis.core.roles import RIGHTS, ROLES, RoleName
from aegis.core.stops import Grade
from aegis.emergency.planning import Order
from aegis.stores.incident_list import UNRESOLVED, Wanted
from aegis.web.dashboard.forms import FIELD
from aegis.web.rights import right_for

pytestmark = pytest.mark.anyio

FORMS = (
    "/incidents/inc_1/acknowledge",
    "/incidents/inc_1/silence",
    "/silences",
    "/silences/sil_1/end",
    "/deliveries/d1/replay",
    "/stop",
    "/stop/stp_1/apply",
    "/stop/stp_1/recover",
    "/stop/stp_1/abort",
    "/stop/stp_1/agree/apr_1",
    "/keys",
    "/keys/ci-bot/revoke",
    "/approvals/apr_1",
)


async def attacked(face: Face) -> str:
    await face.app.take(BRUTE_FORCE, source="auth.log")
    await face.app.finish(wait_ms=0)
    return (await face.app.incidents.recent(1))[0].id


async def page(face: Face, path: str) -> str:
    async with face.client.get(f"{face.address}{path}", headers=face.bearer) as answer:
        assert answer.status == 200, (path, answer.status)
        return await answer.text()


async def send(face: Face, path: str, **fields: Any) -> tuple[int, str]:
    """A form of ours, sent by whoever is signed in."""
    form = {FIELD: await form_token(face), **fields}
    headers = {"Origin": face.address}
    async with face.client.post(f"{face.address}{path}", data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", "") or await answer.text()


@pytest.mark.parametrize("path", FORMS)
async def test_no_form_counts_without_the_token_of_its_page(tmp_path: Path, path: str) -> None:
    async with faced(tmp_path) as face:
        for form in ({}, {FIELD: "guessed"}, {FIELD: ""}):
            headers = {**face.bearer, "Origin": face.address}
            async with face.client.post(f"{face.address}{path}", data=form, headers=headers) as answer:
                assert answer.status in (403, 404), "refused, or there is nothing of that name to show the refusal on"
        assert not await face.app.silences.in_force(face.app.clock.now())
        assert not await face.app.shown.keys()  # type: ignore[union-attr]
        assert not await face.app.audit.entries()


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_sees_every_page_and_acts_as_far_as_it_goes(tmp_path: Path, role: RoleName) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await sign_in(face, role)
        for path in FORMS:
            right = right_for("POST", path)
            assert right is not None
            status, words = await send(face, path)
            assert (status == 403 and "not_allowed" in words) == (right not in RIGHTS[role]), (path, status)
        for path in ("/", "/incidents", "/spend", "/guardrails", "/attack", "/silences", "/stop", "/drills", "/keys"):
            async with face.client.get(f"{face.address}{path}") as answer:
                assert answer.status == 200
                assert f'<span class="soft">{role}</span>' in await answer.text()


async def test_now_and_the_list_tell_the_same_count_and_the_same_money(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await attacked(face)
        home, listed, spend = await page(face, "/"), await page(face, "/incidents"), await page(face, "/spend")
        unresolved = await face.app.incidents.unresolved()
        balance = (await face.app.governor.balances())[0]
    assert f"<b>{len(unresolved)}</b><span>open incidents</span>" in home
    assert f"{len(unresolved)} open of {len(unresolved)}" in listed
    for severity in Severity:
        count = sum(one.severity is severity for one in unresolved)
        assert f"{severity.name}</span> <b>{count}</b>" in listed
    assert show_usd(balance.settled) in home
    assert show_usd(balance.settled) in spend


async def test_the_filter_of_the_address_finds_what_it_says_and_only_that(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        incident = await attacked(face)
        one = await face.app.incidents.get(incident)
        assert one is not None
        for query in (
            "status=unresolved",
            f"severity={one.severity.name}",
            f"technique={one.techniques[0]}",
            "q=203.0.113.66",
            f"q={incident}",
            "kind=security",
        ):
            assert incident in await page(face, f"/incidents?{query}"), query
        for query in ("status=resolved", "technique=T9999", "q=100%25", "kind=spend", "held=sil_1", "before=1.x"):
            assert f'/incidents/{incident}"' not in await page(face, f"/incidents?{query}"), query


async def test_every_empty_page_names_the_next_command(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for path in ("/", "/incidents", "/spend", "/guardrails", "/attack", "/silences", "/stop", "/drills", "/keys"):
            assert re.search(r'class="empty"[^§]*?<code>aegis ', await page(face, path)), path


async def test_a_filter_is_answered_from_the_short_rows_of_an_older_store_too(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        incident = await attacked(face)
        shown = face.app.shown
        assert shown is not None
        await shown.database.write(lambda connection: connection.execute("UPDATE incident_list SET severity = 0"))
        listing = await shown.lists()
        assert [one.id for one in await listing.page(Wanted(status=UNRESOLVED), 5)] == [incident]
        assert sum((await listing.counts()).values()) == 1
        assert await listing.fill_in() == 0


async def test_a_plan_is_applied_only_by_a_second_person_where_it_needs_one_and_returns_in_steps(
    tmp_path: Path,
) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await face.app.accounts.add("second", "operator", await _password(), by="test")
        await sign_in(face, "operator")
        status, where = await send(face, "/stop", grade="1", name="team", value="build", reason="a loop")
        assert status == 303
        assert (await send(face, f"{where}/apply", confirm="build"))[0] == 400, "the scope is not written out"
        assert (await send(face, f"{where}/apply", confirm="team build"))[0] == 303
        emergency = face.app.emergency
        assert emergency is not None
        await emergency.turn(face.app.clock.now())
        await face.app.finish(wait_ms=0)
        await emergency.turn(face.app.clock.now())
        stop = await face.app.shown.stops.get(where.rpartition("/")[2])  # type: ignore[union-attr]
        assert (stop.state, stop.applied_by) == ("stopped", "operator")
        assert (await send(face, f"{where}/recover", root_cause="a loop, mended"))[0] == 303
        assert (await send(face, f"{where}/abort"))[1].endswith("done=aborted")
        after = await face.app.shown.stops.get(stop.id)  # type: ignore[union-attr]
        assert (after.state, after.ramp) == ("stopped", None)
        assert "broke the return off" in after.said[-1][1]


async def _password() -> Any:
    from tests.web.test_accounts import PASSWORD

    return PASSWORD


async def test_what_is_beyond_our_own_keys_returns_when_a_second_account_agrees(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await face.app.accounts.add("second", "operator", await _password(), by="test")
        emergency, shown = face.app.emergency, face.app.shown
        assert emergency is not None
        assert shown is not None
        made = await emergency.orders.plan(Order(grade=Grade.G3, scope={"team": "build"}, reason="x", by="ann"))
        await emergency.orders.keep(made)
        await shown.stops.save(replace(made, state="stopped", version=made.version + 1))
        await sign_in(face, "operator")
        assert (await send(face, f"/stop/{made.id}/recover", root_cause="over"))[1].endswith("done=asked")
        waiting = (await face.app.accounts.kept.waiting(face.app.clock.now()))[0]
        assert (await send(face, f"/stop/{made.id}/agree/{waiting.id}"))[0] == 400, "who asked does not agree"
        await sign_in(face, "second")
        assert (await send(face, f"/stop/{made.id}/agree/{waiting.id}"))[1].endswith("done=returning")
        after = await shown.stops.get(made.id)
        assert (after.state, after.approver) == ("returning", "second")


async def test_what_a_return_could_not_give_back_is_asked_for_again_and_nothing_else_of_what_is_over(
    tmp_path: Path,
) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        emergency, shown = face.app.emergency, face.app.shown
        assert emergency is not None
        assert shown is not None
        made = await emergency.orders.plan(Order(grade=Grade.G3, scope={"team": "build"}, reason="x", by="ann"))
        await emergency.orders.keep(made)
        over = replace(made, state="returned", version=made.version + 1)
        await shown.stops.save(over)
        await sign_in(face, "operator")
        assert (await send(face, f"/stop/{made.id}/recover", root_cause="over"))[0] == 400
        await shown.stops.save(replace(over, failed={"iam_key:AKIA1": "away"}, version=over.version + 1))
        assert (await send(face, f"/stop/{made.id}/recover", root_cause="over"))[1].endswith("done=asked")


async def test_agreeing_to_a_budget_is_on_record_before_it_is_set_and_after(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        app, budget = face.app, face.app.config.budgets[0].name
        word = Override(budget=budget, window="day", level="emergency", amount=usd("90"), by="ann", at=app.clock.now())
        asked = await approving.ask(app.accounts.kept, word, new_id=app.new_id, by="ann", now=app.clock.now())
        await sign_in(face, "budget-admin")
        assert (await send(face, f"/approvals/{asked.id}"))[1].endswith("done=approved")
        after, before = await app.audit.entries(limit=2)
        assert (before.what, after.what) == ("budget.approving", "budget.approved")
        assert after.facts["budget"] == budget
        assert (await send(face, f"/approvals/{asked.id}"))[0] == 400, "it was agreed to already"
        assert (await app.audit.entries(limit=1))[0].seq == after.seq, "what did not happen is not on record"


async def test_a_key_is_shown_once(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await with_accounts(face)
        await sign_in(face, "budget-admin")
        status, words = await send(face, "/keys", name="ci-bot", team="build", daily="5.00", expires="90d")
        secret = re.search(r"aeg_live_[0-9A-Z_]+", words)
        assert (status, secret is not None) == (201, True)
        assert secret is not None
        async with face.client.get(f"{face.address}/keys") as answer:
            assert secret[0] not in await answer.text()
        assert (await send(face, "/keys/ci-bot/revoke"))[0] == 303
        made = (await face.app.shown.keys())[0]  # type: ignore[union-attr]
        assert made.revoked_at is not None
        assert made.expires_at == made.created_at + timedelta(days=90)


async def test_a_drill_of_record_is_shown_with_its_measures_and_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    measure = {"name": "time_to_stop", "value_ms": 1500, "target_ms": 1000, "verdict": "missed", "text": "from a to b"}
    document = {
        "schema": "aegis.drill/1",
        "drill": "budget",
        "title": "A budget <b>runs out</b>",
        "score": 83,
        "measures": [measure, "no measure"],
        "looked": [{"name": "told", "good": True, "text": "by mail"}],
        "improve": ["Stop sooner."],
    }
    async with faced(tmp_path) as face:
        folder = tmp_path / "drills"
        folder.mkdir()
        (folder / "20261121T163000Z-budget.json").write_bytes(orjson.dumps(document))
        (folder / "20261121T163001Z-budget.json").write_text("{")
        shown = await page(face, "/drills")
    for words in ("A budget &lt;b&gt;runs out", "83 of 100", "1.5 s", "missed", "Stop sooner.", "2026-11-21 16:30"):
        assert words in shown
