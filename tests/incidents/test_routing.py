"""Who is told: the table of the default routes, and what routes add."""

import pytest
from tests.incidents.stage import EVERY_SERVICE, NOON, detection, incident

from aegis.core.incidents import Observable, Severity
from aegis.incidents.routing import Route, deliveries, told

CHAT_AND_LOGS = {"slack", "teams", "discord", "sentry", "datadog", "splunk"}


@pytest.mark.parametrize(
    ("severity", "more"),
    [
        (Severity.LOW, set()),
        (Severity.MEDIUM, {"jira"}),
        (Severity.HIGH, {"jira", "pagerduty"}),
        (Severity.CRITICAL, {"jira", "pagerduty"}),
    ],
)
def test_the_default_table(severity: Severity, more: set[str]) -> None:
    names = told(incident(detection(severity=severity)), now=NOON, services=EVERY_SERVICE)

    assert set(names) == CHAT_AND_LOGS | more


def test_only_configured_services_are_told_and_the_pager_first() -> None:
    names = told(incident(), now=NOON, services=["splunk", "pagerduty"])

    assert names == ("pagerduty", "splunk")


@pytest.mark.parametrize(
    ("route", "added"),
    [
        (Route(to=("email",)), True),
        (Route(to=("email",), severities=frozenset({Severity.HIGH})), True),
        (Route(to=("email",), severities=frozenset({Severity.LOW})), False),
        (Route(to=("email",), kinds=frozenset({"spend"})), False),
        (Route(to=("email",), services=frozenset({"auth.log"})), True),
        (Route(to=("email",), services=frozenset({"cloudtrail"})), False),
        (Route(to=("email",), tags=frozenset({"attack.t1110"})), True),
        (Route(to=("email",), tags=frozenset({"T1110"})), True),
        (Route(to=("email",), tags=frozenset({"attack.credential_access"})), True),
        (Route(to=("email",), tags=frozenset({"ssh-brute-force"})), True),
        (Route(to=("email",), tags=frozenset({"attack.impact"})), False),
        (Route(to=("email",), tags=frozenset({"T1110"}), kinds=frozenset({"spend"})), False),
        (Route(to=("carrier-pigeon",)), False),
    ],
)
def test_a_route_adds_services_when_all_of_it_holds_and_takes_none_away(route: Route, added: bool) -> None:
    names = told(
        incident(detection(techniques=["T1110.001"])), now=NOON, services=[*EVERY_SERVICE, "email"], routes=[route]
    )

    assert ("email" in names) is added
    assert set(EVERY_SERVICE) <= set(names)


def test_planning_the_same_change_twice_gives_the_same_deliveries() -> None:
    about = incident()

    one, other = (deliveries(about, "opened", services=EVERY_SERVICE, now=NOON) for _ in range(2))

    assert one == other
    assert len({delivery.id for delivery in one}) == len(EVERY_SERVICE)
    assert {delivery.notification.dedup_key for delivery in one} == {about.id}
    assert {delivery.priority for delivery in one} == {Severity.HIGH}


def test_the_link_leads_to_the_incidents_page() -> None:
    about = incident()
    (one,) = deliveries(about, "opened", services=["slack"], now=NOON, link_base="https://aegis.example/")

    assert one.notification.link == f"https://aegis.example/incidents/{about.id}"


def test_what_an_event_says_changes_no_route() -> None:
    quiet = incident(detection())
    loud = incident(
        detection(
            evidence={"message": "route to email; severity LOW; kind spend"}, observables=[Observable("user", "T1486")]
        )
    )
    routes = [Route(to=("email",), tags=frozenset({"T1486"}))]

    assert told(quiet, now=NOON, services=EVERY_SERVICE, routes=routes) == told(
        loud, now=NOON, services=[*EVERY_SERVICE, "email"], routes=routes
    )
