"""Claims about `aegis breaker`, `throttle`, `queue`, `cache` and `model`: live where an Aegis runs, else as configured."""

from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from click.testing import Result
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend
from tests.web.faces import faced

from aegis.core.calls import Call
from aegis.core.errors import ServiceError

MODELS = """\
services: {anthropic: {models: {triage: m, analysis: m, deep: null}}}
prices: {"anthropic/m": {input_tokens: 10, output_tokens: 10}}
"""


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


async def _live(here: Place, *words: str) -> Result:
    """A command while an Aegis runs whose breaker for `athena` has just opened."""
    async with faced(here.home) as face:
        for number in range(5):
            call = Call(id=f"call-{number}", service="athena", operation="query", worst={"bytes_scanned": 1})
            with suppress(ServiceError):
                async with face.app.governor.admit(call):
                    raise ServiceError("athena", "is down", retryable=True, status=503)
        listen = f"server.listen={face.address.removeprefix('http://')}"
        return await anyio.to_thread.run_sync(lambda: here.run(*words, "--set", listen))


def test_a_running_aegis_says_which_breaker_is_open(here: Place) -> None:
    document = data(anyio.run(_live, here, "breaker", "list", "--json"))

    states = {row["service"]: row["state"] for row in document["breakers"]}
    assert document["running"]
    assert (states["athena"], states["anthropic"]) == ("open", "closed")
    told = anyio.run(_live, here, "breaker", "explain", "athena").stdout
    assert told.startswith("athena: open (athena: is down)")


def test_a_running_aegis_says_who_waits_and_for_what(here: Place) -> None:
    document = data(anyio.run(_live, here, "queue", "explain", "anthropic", "--json"))

    assert (document["running"], document["waiting"], document["room"]) == (True, 0, 60)


@pytest.mark.parametrize("gate", ["breaker", "queue"])
def test_where_nothing_runs_the_configuration_is_shown_and_said_to_be(here: Place, gate: str) -> None:
    result = here.run(gate, "list")

    assert result.exit_code == 0
    assert result.stderr == "No Aegis runs on this state folder: this is what the configuration says\n"
    assert "not running" in result.stdout
    assert not here.home.exists(), "looking makes nothing"


def test_what_is_configured_is_what_is_explained(here: Place) -> None:
    here.write(
        "services: {openai: {breaker: {failures: 3, cost: 10.00}, queue: 7, cache: off, rate: 5/minute burst 9}}\n"
    )

    breaker = here.run("breaker", "explain", "openai").stdout
    assert "opens after 3 failures in a row" in breaker
    assert "opens when more than 10.00 USD were spent within 1h" in breaker
    queue = here.run("queue", "explain", "openai").stdout
    assert "at most 7 wait" in queue
    assert "5 per 1m, bursts of 9" in queue
    assert "never used again" in here.run("cache", "explain", "openai").stdout


@pytest.mark.parametrize("gate", ["breaker", "queue", "cache", "throttle"])
def test_a_service_that_nobody_configured_is_not_found(here: Place, gate: str) -> None:
    assert here.run(gate, "explain", "nobody").exit_code == 4


def test_a_throttle_says_its_steps_and_how_full_its_budget_is(here: Place) -> None:
    here.write(SETTINGS.replace("emergency: 0.10}", "emergency: 0.10}, throttle: {light: 50%, light_delay: 2s}"))
    assert data(here.run("throttle", "list", "--json"))["throttles"][0]["used_percent"] == 0

    anyio.run(spend, here, 6)
    row = data(here.run("throttle", "explain", "everything", "--json"))["lines"][0]
    assert (row["used_percent"], row["step"]) == (60, "light")
    assert row["steps"]["light"] == {"from_percent": 50, "space": "2s"}
    assert row["steps"]["block"]["space"] is None


def test_the_cache_counts_what_it_answered(here: Place) -> None:
    anyio.run(spend, here, 1)
    rows = {row["service"]: row for row in data(here.run("cache", "list", "--json"))["services"]}

    assert (rows["anthropic"]["asked"], rows["anthropic"]["answered"]) == (1, 0)
    assert rows["anthropic"]["keep"] == "5m"


def test_the_models_are_listed_with_use_and_price(here: Place) -> None:
    here.write(MODELS)
    rows = data(here.run("model", "list", "--json"))["models"]

    row = next(row for row in rows if row["part"] == "analysis")
    assert (row["model"], row["asked_for"]) == ("m", ["HIGH", "CRITICAL"])
    assert row["price"].startswith("input_tokens 10.00, output_tokens 10.00")


def test_a_prompt_is_told_its_model_and_its_worst_case(here: Place) -> None:
    here.write(MODELS)
    told = data(here.run("model", "explain", "What happened?", "--output-tokens", "100", "--json"))

    assert told["chosen"] == "m"
    assert told["worst"] == {"input_tokens": 14 + 2_048, "output_tokens": 100}
    assert told["candidates"][0] == {"model": "m", "worst_usd": "0.02162", "refused_by": []}
    assert data(here.run("model", "explain", "--json", stdin="What happened?"))["chosen"] == "m"


def test_a_prompt_is_told_the_line_that_would_refuse_it(here: Place) -> None:
    here.write(MODELS + SETTINGS)
    anyio.run(spend, here, 9)
    told = data(here.run("model", "explain", "What happened?", "--json"))

    assert told["chosen"] is None
    assert told["candidates"][0]["refused_by"][0].startswith("everything (day): $0.0100 left, $0.03")
    assert "the offline one" in here.run("model", "explain", "What happened?").stdout


def test_a_prompt_is_told_that_everything_is_stopped(here: Place) -> None:
    here.write(MODELS)
    here.run("stop", "--all", "--reason", "fire")

    told = data(here.run("model", "explain", "What happened?", "--json"))
    assert told["candidates"][0]["refused_by"][0].startswith("the stop switch (everything is stopped: fire")


def test_a_model_without_a_price_is_never_chosen(here: Place) -> None:
    here.write("services: {anthropic: {models: {triage: null, analysis: nobody-knows, deep: null}}}\n")

    told = data(here.run("model", "explain", "hello", "--json"))
    assert (told["chosen"], told["candidates"][0]["worst_usd"]) == (None, None)
    assert "price unknown" in here.run("model", "list").stdout
