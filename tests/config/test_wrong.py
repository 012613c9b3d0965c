"""Every wrong configuration says where, which value, and what it must be. One case a line: text, then the exact problem."""

from pathlib import Path

import pytest
from tests.config.writing import loaded, wrong

from aegis.config.load import load
from aegis.config.problems import InvalidConfig

AMOUNT = "must be an amount such as 5.00"
FORMS = "env:NAME, file:/path, keyring:service/name or secret:NAME"
REFERENCE = f"must be a reference, never the secret itself: {FORMS}"

CASES = {
    "budgets:\n  monthly:\n    monthly:\n      warning: 1\n      emergency: five": f'5:7 budgets.monthly.monthly.emergency - {AMOUNT} (got "five")',
    "budgets: {b: {daily: {emergency: -5}}}": f'1:23 budgets.b.daily.emergency - {AMOUNT} (got "-5")',
    "budgets: {b: {daily: {emergency: 1e3}}}": f'1:23 budgets.b.daily.emergency - {AMOUNT} (got "1e3")',
    "budgets: {b: {daily: {emergency: .nan}}}": f'1:23 budgets.b.daily.emergency - {AMOUNT} (got ".nan")',
    "budgets: {b: {daily: {emergency: 0.0000000001}}}": f'1:23 budgets.b.daily.emergency - {AMOUNT} (got "0.0000000001")',
    "budgets: {b: {daily: {emergency: 99999999999}}}": f'1:23 budgets.b.daily.emergency - {AMOUNT} (got "99999999999")',
    "budgets: {b: {daily: {emergency: }}}": f"1:23 budgets.b.daily.emergency - {AMOUNT} (got nothing)",
    "budgets: {b: {daily: {emergency: [1]}}}": f"1:23 budgets.b.daily.emergency - {AMOUNT} (got a list)",
    "budgets: {b: {meter: bytes_scanned, daily: {emergency: 10XB}}}": '1:45 budgets.b.daily.emergency - must be a size such as 10TB, 500MB or 4GiB (got "10XB")',
    "budgets: {b: {meter: requests, daily: {emergency: 0.5}}}": '1:40 budgets.b.daily.emergency - must be a whole number, at most 10^15 (got "0.5")',
    "budgets: {b: {daily: {critical: 5}}}": "1:15 budgets.b.daily.emergency - is needed",
    "budgets: {b: {daily: {critcal: 5, emergency: 9}}}": "1:23 budgets.b.daily.critcal - is no known key; critcal -> critical?",
    "budgets: {b: {daily: {warning: 11, emergency: 10}}}": '1:23 budgets.b.daily.warning - must not be above emergency, which is the hard limit (got "11")',
    "budgets: {b: {daily: {warning: 8, critical: 7, emergency: 10}}}": '1:35 budgets.b.daily.critical - must not be below warning (got "7")',
    "budgets: {b: {daily: {warning: 120%, emergency: 10}}}": '1:23 budgets.b.daily.warning - must be a percentage such as 30% (got "120%")',
    "budgets: {b: {scope: all}}": "1:11 budgets.b - must have a window: daily, weekly, monthly or rolling",
    "budgets: {b: 5}": '1:11 budgets.b - must be a mapping of keys to values (got "5")',
    "budgets: {b: {scope: {servce: x}, daily: {emergency: 1}}}": "1:15 budgets.b.scope - has servce, which is no known scope; servce -> service?",
    "budgets: {b: {scope: {team: [a]}, daily: {emergency: 1}}}": "1:23 budgets.b.scope.team - must be text (got a list)",
    "budgets: {b: {daily: {emergency: 1}, reserve: {CRITICAL: 60%, HIGH: 40%}}}": "1:38 budgets.b.reserve - must leave something: together the shares are below 100%",
    "budgets: {b: {daily: {emergency: 1}, reserve: {SEVERE: 60%}}}": '1:48 budgets.b.reserve.SEVERE - must be LOW, MEDIUM, HIGH or CRITICAL (got "SEVERE")',
    "budgets: {b: {daily: {emergency: 1}, throttle: {light: 80%}}}": '1:38 budgets.b.throttle.moderate - must be above light (got "75%")',
    "budgets: {b: {daily: {emergency: 1}, timezone: Mars/Olympus}}": '1:38 budgets.b.timezone - must be an IANA time zone such as Europe/Berlin (got "Mars/Olympus")',
    "budgets: {b: {daily: {emergency: 1}, mode: obsrve}}": '1:38 budgets.b.mode - must be enforce or observe; obsrve -> observe? (got "obsrve")',
    "budget_thresholds: {dayly: {emergency: 1}}": "1:21 budget_thresholds.dayly - is no known key; dayly -> daily?",
    "budgets: {everything: {daily: {emergency: 1}}}\nbudget_thresholds: {daily: {emergency: 1}}": "2:1 budget_thresholds - must not stand beside budgets.everything: both are the budget of all calls",
    "actions: {warning: [log, emial]}": "1:11 actions.warning - has emial, which is no known action; emial -> email?",
    "serivces: {}": "1:1 serivces - is no known key; serivces -> services?",
    "services: {anthropc: {}}": "1:12 services.anthropc - is no known key; anthropc -> anthropic?",
    "services: {anthropic: {key: sk-ant-0123456789abcdefghij}}": f"1:24 services.anthropic.key - {REFERENCE}",
    "services: {anthropic: {key: env:not-a-name}}": f"1:24 services.anthropic.key - {REFERENCE}",
    "services: {anthropic: {base_url: http://api.example.com}}": '1:24 services.anthropic.base_url - must be an https:// address (http:// only for this machine) (got "http://api.example.com")',
    "services: {anthropic: {rate: 10/fortnight}}": '1:24 services.anthropic.rate - must be a rate such as 10/minute, 500/day or 10/minute burst 100 (got "10/fortnight")',
    "services: {anthropic: {rate: 10/minute burst 5}}": "1:24 services.anthropic.rate - must have a burst of at least the rate, such as 10/minute burst 100",
    "services: {anthropic: {breaker: {failures: five}}}": '1:34 services.anthropic.breaker.failures - must be a whole number (got "five")',
    "services: {anthropic: {breaker: {failures: 0}}}": '1:34 services.anthropic.breaker.failures - must be at least 1 (got "0")',
    "services: {anthropic: {breaker: {recovery: 60}}}": '1:34 services.anthropic.breaker.recovery - must be a duration such as 60s, 5m, 24h or 30d (got "60")',
    "connectors: {slack: {channel: x}}": "1:14 connectors.slack - must have either token (with channel) or webhook",
    "connectors: {slack: {token: env:A}}": "1:14 connectors.slack - must have a channel: a token alone does not say where",
    "connectors: {slack: {webhook: https://hooks.slack.com/services/T0/B0/abcdef}}": f"1:22 connectors.slack.webhook - {REFERENCE}",
    "connectors: {jira: {token: env:T, project: SEC, email: a@b.example}}": "1:14 connectors.jira.base_url - is needed",
    "connectors: {jira: {token: env:T, project: sec, email: a@b.example, base_url: https://x.example}}": '1:35 connectors.jira.project - is not written as it has to be (got "sec")',
    "contacts: {anna: {slack: anna}}": '1:19 contacts.anna.slack - must be the id of a Slack member such as U024BE7LH (in the profile: Copy member ID) (got "anna")',
    "contacts: {anna: {email: a@b.example, teams: x}}": "1:12 contacts.anna - must not have teams, which reaches no single person: that is email, webhook, slack, pagerduty, sms or phone; a route tells teams",
    "contacts: {anna: {email: a@b.example}}\nescalation: {chains: [{name: x, steps: [{to: anna, by: [email, discord]}]}]}": "2:52 escalation.chains[0].steps[0].by - must not have discord, which reaches no single person: that is email, webhook, slack, pagerduty, sms or phone; a route tells discord (got a list)",
    "routes:\n  - {to: [pagerdty]}": "2:6 routes[0].to - has pagerdty, which is no known service; pagerdty -> pagerduty?",
    "routes:\n  - {to: slack}\n  - {when: {severity: hgh}, to: slack}": '3:13 routes[1].when.severity[0] - must be LOW, MEDIUM, HIGH or CRITICAL; hgh -> HIGH? (got "hgh")',
    "routes: slack": '1:1 routes - must be a list, such as [a, b] (got "slack")',
    "server: {listen: 8787}": '1:10 server.listen - must be host:port, such as 127.0.0.1:8787 (got "8787")',
    "store: {url: postgresql://user@db.example/aegis}": '1:9 store.url - is not written as it has to be (got "postgresql://***@db.example/aegis")',
    "detection: {shipped: perhaps}": '1:13 detection.shipped - must be true or false (got "perhaps")',
    "retention: {events: 36h}": '1:13 retention.events - must be whole days such as 30d (got "36h")',
    "prices: {anthropic/x: {input_tokens: cheap}}": f'1:24 prices.anthropic/x.input_tokens - {AMOUNT} (got "cheap")',
    "secrets: {key_file: here/key}": '1:11 secrets.key_file - is not written as it has to be (got "here/key")',
    "server: {listen: a:1, listen: b:2}": "1:23 server.listen - is written twice",
    "server: !!python/object:os.system {}": "1:9 server - must be plain: tags such as !name are not read",
    "server: {listen: !env LISTEN}": "1:18 server.listen - must be plain: tags such as !name are not read",
    "a: &a {b: 1}\nserver:\n  <<: *a": "3:3 server.<< - merge keys are not part of YAML 1.2: write the values out",
    "[1, 2]": "1:1 - must be a mapping of sections, such as budgets:",
    "server: {listen: x": "1:19 - this is not YAML: expected ',' or '}', but got '<stream end>'",
    "server:\n\t listen: x": "2:1 - this is not YAML: found character '\\t' that cannot start any token",
    "? {a: b}\n: c": "1:3 - must be a plain name",
}


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=[text[:60] for text in CASES])
def test_a_wrong_configuration_says_exactly_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    assert wrong(tmp_path, text) == [f"aegis.yaml:{expected}"]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "retention: {events: never}\nserver: {listn: x}\nservices: {openai: {rate: 1}}\n"

    assert [line.partition(" ")[0] for line in wrong(tmp_path, text)] == [
        "aegis.yaml:1:13",
        "aegis.yaml:2:10",
        "aegis.yaml:3:21",
    ]


def test_a_wrong_variable_and_a_wrong_flag_are_named_as_such(tmp_path: Path) -> None:
    assert wrong(tmp_path, "", AEGIS_SERVER__LISTEN="here") == [
        'environment AEGIS_SERVER__LISTEN server.listen - must be host:port, such as 127.0.0.1:8787 (got "here")'
    ]
    assert wrong(tmp_path, "", AEGIS_SERVER__LISTN="a:1") == [
        "environment AEGIS_SERVER__LISTN server.listn - is no known key; listn -> listen?"
    ]
    with pytest.raises(InvalidConfig, match=r"^flag server\.listen server\.listen - must be host:port"):
        load(flags={"server.listen": "x"})


def test_a_problem_is_shown_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, "server:\n  listen: here  # ours\n")

    assert caught.value.shown().splitlines()[1] == "    2 |   listen: here  # ours"


LITERALS = (
    "services: {anthropic: {key: %s, rte: 5}}",
    "connectors: {slack: {tokn: %s}}",
    "connectors: {slack: {token: %s, chanel: x}}",
    "connectors:\n  splunk:\n    token: >\n      %s\n    bad: 1",
    "services: {anthropic: {key: %s",
    "api_key: %s",
    "services: {anthropic: {admin_key: [%s]}}",
)


@pytest.mark.parametrize("template", LITERALS)
@pytest.mark.parametrize("secret", ["sk-ant-api03-Zm9vYmFyYmF6cXV4", "xoxb-123456789012-abcdefghij", "correct-horse-9"])
def test_a_secret_that_was_written_into_the_file_is_never_repeated(tmp_path: Path, template: str, secret: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, template % secret)

    assert secret not in f"{caught.value} {caught.value!r} {caught.value.shown()} {caught.value.found!r}"


def test_an_alias_that_names_itself_over_and_over_does_not_grow(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )

    assert wrong(tmp_path, bomb) == ["aegis.yaml:1:1 - too large: at most 20,000 values, 32 levels deep"]


@pytest.mark.parametrize("text", ["[" * 5_000, "a: {" * 5_000, "- " * 5_000])
def test_nesting_without_end_is_refused(tmp_path: Path, text: str) -> None:
    assert len(wrong(tmp_path, text)) == 1
