"""Public keys are fetched once, kept for a day, and nobody makes us ask for every message."""

import json

import pytest
from tests.web.inbound.signing import CERTIFICATE_URL, NOW, PARTNER_ID, certificate, partner_pem

from aegis.core.errors import ServiceError
from aegis.testing.clock import FakeClock
from aegis.testing.services import ScriptedHttp
from aegis.web.inbound.github import KEYS_URL
from aegis.web.inbound.keys import FETCHES_IN, FETCHES_MAX, KEPT, KEYS_MAX, REFUSED, Keys

pytestmark = pytest.mark.anyio
LISTED = json.dumps({"public_keys": [{"key_identifier": PARTNER_ID, "key": partner_pem().decode()}]}).encode()


async def test_a_certificate_is_fetched_once_a_day() -> None:
    http, clock = ScriptedHttp(*(ScriptedHttp.answer(200, certificate()) for _ in range(2))), FakeClock(NOW)
    keys = Keys(http, clock=clock)
    for _ in range(3):
        assert await keys.get("sns", CERTIFICATE_URL) == {CERTIFICATE_URL: certificate()}
    assert [request.url for request in http.requests] == [CERTIFICATE_URL]
    clock.jump(KEPT)
    await keys.get("sns", CERTIFICATE_URL)
    assert len(http.requests) == 2


async def test_an_unknown_key_of_github_is_not_asked_for_again_at_once() -> None:
    http, clock = ScriptedHttp(*(ScriptedHttp.answer(200, LISTED) for _ in range(2))), FakeClock(NOW)
    keys = Keys(http, clock=clock)
    for _ in range(5):
        assert await keys.get("github", "ab" * 20) == {}
    assert [request.url for request in http.requests] == [KEYS_URL]
    clock.jump(REFUSED)
    await keys.get("github", "ab" * 20)
    assert len(http.requests) == 2


async def test_a_key_that_cannot_be_fetched_now_is_an_error_and_is_tried_again() -> None:
    http = ScriptedHttp(ScriptedHttp.answer(503), ScriptedHttp.answer(200, LISTED))
    keys = Keys(http, clock=FakeClock(NOW))
    with pytest.raises(ServiceError):
        await keys.get("github", PARTNER_ID)
    assert PARTNER_ID in await keys.get("github", PARTNER_ID)


async def test_what_is_no_list_of_keys_holds_none() -> None:
    keys = Keys(ScriptedHttp(ScriptedHttp.answer(200, b"<html>")), clock=FakeClock(NOW))
    assert await keys.get("github", PARTNER_ID) == {}


async def test_however_many_keys_are_named_few_are_kept() -> None:
    http = ScriptedHttp(*(ScriptedHttp.answer(404) for _ in range(KEYS_MAX + 10)))
    clock = FakeClock(NOW)
    keys = Keys(http, clock=clock)
    for number in range(KEYS_MAX + 10):
        clock.jump(FETCHES_IN)
        await keys.get("sns", f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{number:032x}.pem")
    assert len(keys._kept) == KEYS_MAX


async def test_however_many_messages_name_keys_we_ask_seldom() -> None:
    http = ScriptedHttp(*(ScriptedHttp.answer(404) for _ in range(FETCHES_MAX)))
    keys = Keys(http, clock=FakeClock(NOW))
    for number in range(FETCHES_MAX):
        await keys.get("sns", f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{number:032x}.pem")
    with pytest.raises(ServiceError):
        await keys.get("sns", CERTIFICATE_URL)
    assert len(http.requests) == FETCHES_MAX
