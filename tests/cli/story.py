"""One incident, for commands that show or change one."""

from tests.cli.running import Place, data

TRAIL_STOPPED = (
    '{"eventVersion":"1.09","eventTime":"2026-03-03T23:45:50Z","eventSource":"cloudtrail.amazonaws.com",'
    '"eventName":"StopLogging","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.66","userIdentity":'
    '{"type":"IAMUser","userName":"deploy","arn":"arn:aws:iam::210987654321:user/deploy"},'
    '"requestParameters":{"name":"org-trail"}}\n'
)


def with_incident(here: Place) -> str:
    """The id of the one incident of an import."""
    file = here.folder / "trail.json"
    file.write_text(TRAIL_STOPPED)
    result = here.run("event", "import", "--json", str(file))
    assert result.exit_code == 0, result.output
    (row,) = [row for row in listed(here) if not row["title"].startswith("Budget")]
    return str(row["id"])


def listed(here: Place) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = data(here.run("incident", "list", "--json"))["incidents"]
    return rows
