"""Claims about `aegis notify test` and `aegis check --live`, run as people run them against a sandbox beside the command."""

from pathlib import Path

import pytest
from tests.cli.outside import Outside, outside
from tests.cli.running import Place, data, place


def configure(here: Place, town: Outside) -> None:
    url = town.serving.url
    here.env.update({"TOKEN": "xoxb-canary5ecret", "TEAMS": f"{url}/teams/workflows/x?sig=canary5ecret"})
    here.write(
        "connectors:\n"
        f"  slack: {{token: env:TOKEN, channel: '#x', base_url: '{url}/slack'}}\n"
        "  teams: {webhook: env:TEAMS}\n"
        f"  email: {{host: 127.0.0.1, port: {town.serving.mail_port}, security: none, sender: a@example.com, to: b@example.com}}\n"
        f"  twilio: {{account: AC{'0' * 32}, token: env:TOKEN, sender: '+15005550006', sms_to: '+15005550001', "
        f"base_url: '{url}/twilio'}}\n"
    )


def test_a_test_message_says_what_it_sends_and_what_came_back(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        result = here.run("notify", "test", "slack")
        line = town.world.received("slack").first_line

    assert result.exit_code == 0
    assert result.stderr == "sending to slack: Test: Test message of Aegis to slack\n"
    assert result.stdout.startswith("delivered (C0")
    assert line == "Test: Test message of Aegis to slack"
    assert not here.home.exists()


def test_a_service_that_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        town.fault("slack", "401")
        result = here.run("notify", "test", "slack")

    assert (result.exit_code, result.stdout) == (6, "")
    assert "slack: refused: invalid_auth" in result.stderr
    assert "canary5ecret" not in result.stderr


def test_one_person_is_tested_by_mail_message_and_call_and_what_is_billed_is_booked(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        runs = [
            here.run("notify", "test", "email", "--to", "lead@example.com", "--json"),
            here.run("notify", "test", "sms", "--json"),
            here.run("notify", "test", "phone", "--to", "+15005550009", "--json"),
        ]
        letters = town.world.documents("email", "letter")
        messages, calls = (town.world.documents("twilio", kind) for kind in ("message", "call"))
        spent = data(here.run("spend", "--json"))

    assert [(run.exit_code, data(run)["delivered"]) for run in runs] == [(0, True)] * 3
    assert [letter["to"] for letter in letters] == [["lead@example.com"]]
    assert [one["to"] for one in (*messages, *calls)] == ["+15005550001", "+15005550009"]
    assert "twilio" in str(spent)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("jira",), 4, "configured are: slack, teams, email"),
        (("phone",), 2, "name somebody with --to"),
        (("teams", "--to", "x"), 4, "ways that do: email"),
        (("email", "--to", "+14155550100"), 2, "cannot reach"),
        (("sms", "--to", "call me"), 2, "cannot reach"),
    ],
)
def test_what_cannot_be_tested_is_said_with_what_can(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        result = here.run("notify", "test", *arguments)
        sent = [tally.received for tally in town.world.tallies().values() if tally.received]

    assert (result.exit_code, sent) == (code, [])
    assert said in result.stderr


def test_a_live_check_asks_every_service_and_posts_nothing(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        good = here.run("check", "--live")
        as_json = data(here.run("check", "--live", "--json"))
        town.fault("twilio", "401")
        bad = here.run("check", "--live")
        kept = [town.world.documents("slack", "message"), town.world.documents("email", "letter")]

    assert (good.exit_code, bad.exit_code) == (0, 6)
    assert good.stdout.splitlines() == [
        "slack        ok         the token is good",
        "teams        not asked  a Workflows address can only be posted to",
        "email        ok         NOOP taken (in the clear, without signing in)",
        "twilio       ok         the account is active (Trial)",
        "ok",
    ]
    assert [one["service"] for one in as_json["services"]] == ["slack", "teams", "email", "twilio"]
    assert "twilio       FAILS      answered 401 20003" in bad.stdout
    assert kept == [[], []]


def test_a_wrong_configuration_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as town:
        configure(here, town)
        del here.env["TOKEN"]
        result = here.run("check", "--live")
        asked = [tally.number for tally in town.world.tallies().values() if tally.number]

    assert (result.exit_code, asked) == (3, [])
