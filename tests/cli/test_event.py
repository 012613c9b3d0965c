"""Claims about `aegis event import`: every format, every bad line, again and again."""

import bz2
import gzip
import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import Place, data, place

KEYS = [
    *("schema", "events", "detections", "incidents", "analyses", "spent_usd", "budget_usd"),
    *("services", "levels_crossed", "report"),
]
TWELVE = {
    *("slack", "teams", "discord", "pagerduty", "jira", "datadog"),
    *("splunk", "sentry", "prometheus", "virustotal", "attack", "anthropic"),
}
STOPPED = {
    "eventVersion": "1.09",
    "eventTime": "2026-03-03T23:45:50Z",
    "eventSource": "cloudtrail.amazonaws.com",
    "eventName": "StopLogging",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "203.0.113.66",
    "userIdentity": {"type": "IAMUser", "userName": "deploy", "arn": "arn:aws:iam::210987654321:user/deploy"},
    "requestParameters": {"name": "org-trail"},
}
CLEARED = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Eventlog"}},
            "EventID": 1102,
            "Channel": "Security",
            "Computer": "dc01.example.com",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-03T23:45:50Z"}},
        },
        "UserData": {"LogFileCleared": {"SubjectUserName": "eve", "SubjectDomainName": "EXAMPLE"}},
    }
}
ROOT_MADE = "Mar  3 23:44:40 bastion-1 useradd[4411]: new user: name=svc, UID=0, GID=0, home=/root, shell=/bin/bash\n"
LINE = json.dumps(STOPPED)


def imported(here: Place, name: str, content: bytes, *options: str) -> dict[str, Any]:
    (here.folder / name).write_bytes(content)
    result = here.run("event", "import", "--json", *options, str(here.folder / name))
    assert result.exit_code == 0, result.output
    summary: dict[str, Any] = data(result)  # fails when anything else stands on stdout
    return summary


@pytest.mark.parametrize(
    ("name", "content", "options", "events"),
    [
        ("one.json", LINE.encode(), (), 1),
        ("array.json", json.dumps([STOPPED, {"a": 1}], indent=2).encode(), (), 2),
        ("lines.jsonl", f"{LINE}\n{{}}\n{{}}\n".encode(), (), 3),
        ("lines.jsonl.gz", gzip.compress(f"{LINE}\n{{}}\n".encode()), (), 2),
        ("lines.jsonl.xz", lzma.compress(f"{LINE}\n{{}}\n".encode()), (), 2),
        ("trail.json", json.dumps({"Records": [STOPPED, {}]}).encode(), (), 2),
        ("auth.log", ROOT_MADE.encode(), (), 1),
        ("rows.jsonl", (json.dumps({"case": "a", "event": CLEARED}) + "\n").encode(), ("--at", "/event"), 1),
    ],
)
def test_every_format_gives_its_events_and_their_incident(
    tmp_path: Path, name: str, content: bytes, options: tuple[str, ...], events: int
) -> None:
    summary = imported(place(tmp_path), name, content, *options)

    assert summary["events"] == events
    assert summary["detections"] >= 1
    assert sum(summary["incidents"].values()) == 1


def test_the_summary_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    summary = imported(place(tmp_path), "trail.json", LINE.encode())

    assert list(summary) == KEYS
    assert summary["schema"] == "aegis.import/1"
    assert list(summary["incidents"]) == ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    assert set(summary["analyses"]) == {"model", "cached", "offline"}
    assert set(summary["services"]) >= TWELVE
    assert all(set(row) == {"received", "refused", "cost_usd"} for row in summary["services"].values())
    assert (summary["spent_usd"], summary["analyses"]["offline"]) == ("0.00", 1)


def test_a_malformed_line_is_counted_and_kept_aside_with_file_and_line(tmp_path: Path) -> None:
    here = place(tmp_path)
    file = here.folder / "rows.jsonl"
    file.write_text(f'{LINE}\n{{"cut": \n{{}}\n')

    result = here.run("event", "import", "--json", str(file))
    aside = data(here.run("event", "rejected", "--json"))

    assert data(result)["events"] == 2
    assert "1 lines set aside" in result.stderr
    assert aside["schema"] == "aegis.rejected/1"
    assert [(row["file"], row["line"], row["code"], row["text"]) for row in aside["lines"]] == [
        (str(file), 2, "malformed", '{"cut":')
    ]
    assert f"{file}:2 malformed" in here.run("event", "rejected").stdout


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b'{"a": "' + b"x" * (10 << 20) + b'"}', "too_long"),
        (b"[" * 5_000 + b"]" * 5_000, "too_deep"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "too_deep"),
        (b'{"a": "\xff\xfe"}', "invalid_utf8"),
        (b"{" + b",".join(b'"k%d":1' % number for number in range(5_000)) + b"}", "too_many_keys"),
    ],
)
def test_a_hostile_line_is_refused_by_name_and_the_rest_goes_on(tmp_path: Path, bad: bytes, code: str) -> None:
    here = place(tmp_path)

    summary = imported(here, "rows.jsonl", LINE.encode() + b"\n" + bad + b'\n{"last": 1}\n')

    assert (summary["events"], sum(summary["incidents"].values())) == (2, 1)
    lines = data(here.run("event", "rejected", "--json"))["lines"]
    assert [(row["line"], row["code"]) for row in lines] == [(2, code)]
    assert len(lines[0]["text"]) <= 200


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_decompression_bomb_is_refused_by_name_after_what_was_good(tmp_path: Path, pack: Any) -> None:
    here = place(tmp_path)

    summary = imported(here, "rows.jsonl.gz", pack(LINE.encode() + b"\n" + b"0" * (64 << 20)))

    assert summary["events"] == 1
    assert [row["code"] for row in data(here.run("event", "rejected", "--json"))["lines"]] == ["bomb"]


def test_a_bad_file_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    here = place(tmp_path)
    (here.folder / "damaged.gz").write_bytes(gzip.compress(LINE.encode() * 50)[:-20])
    (here.folder / "packed.bz2").write_bytes(bz2.compress(LINE.encode()))
    (here.folder / "good.json").write_text(LINE)

    result = here.run(
        "event", "import", "--json", *(str(here.folder / name) for name in ("damaged.gz", "packed.bz2", "good.json"))
    )

    assert result.exit_code == 0
    assert sum(data(result)["incidents"].values()) == 1
    codes = Counter(row["code"] for row in data(here.run("event", "rejected", "--json"))["lines"])
    assert codes


def test_the_same_file_again_adds_nothing_however_its_path_is_spelled(tmp_path: Path) -> None:
    here = place(tmp_path)
    first = imported(here, "trail.json", LINE.encode())
    (here.folder / "link.json").symlink_to(here.folder / "trail.json")

    again = here.run("event", "import", "--json", str(here.folder / ".." / "work" / "link.json"))

    assert (first["events"], data(again)["events"], data(again)["detections"]) == (1, 0, 0)
    listed = data(here.run("incident", "list", "--json"))["incidents"]
    assert [row["count"] for row in listed] == [1]


@pytest.mark.parametrize(
    "config",
    [
        "budgets:\n  all:\n    monthly:\n      emergency: five\n",
        "servr: {}\n",
        "services: {anthropic: {key: env:NOT_THERE}}\n",
        "connectors: {slack: {token: env:NOT_THERE, channel: a}}\n",
        "connectors: {jira: {base_url: 'https://a.example', email: a@b.example, token: env:TOKEN, project: lower}}\n",
    ],
)
def test_a_wrong_configuration_starts_nothing_and_makes_no_store(tmp_path: Path, config: str) -> None:
    here = place(tmp_path)
    here.env["TOKEN"] = "a-token-of-a-test"
    here.write(config)
    (here.folder / "trail.json").write_text(LINE)

    result = here.run("event", "import", "--json", str(here.folder / "trail.json"))

    assert (result.exit_code, result.stdout) == (3, "")
    assert not list(here.home.glob("*.db*")) if here.home.exists() else True


def test_with_the_sandbox_the_services_are_told_and_the_real_store_stays_empty(tmp_path: Path) -> None:
    here = place(tmp_path)

    summary = imported(here, "trail.json", LINE.encode(), "--sandbox")

    told = {name for name, row in summary["services"].items() if row["received"]}
    assert told >= TWELVE - {"prometheus"}
    assert summary["analyses"]["model"] == 1
    assert float(summary["spent_usd"]) > 0
    assert not (here.home / "aegis.db").exists()


def test_two_do_not_work_on_one_state_folder(tmp_path: Path) -> None:
    from aegis.cli.opened import alone

    here = place(tmp_path)
    (here.folder / "trail.json").write_text(LINE)
    here.home.mkdir(mode=0o700)
    with alone(here.home):
        result = here.run("event", "import", str(here.folder / "trail.json"))

    assert result.exit_code == 3
    assert "another Aegis works on" in result.stderr


@pytest.mark.parametrize(("name", "rows"), [("cloudtrail", 1_141), ("evtx_attack", 5_241)])
def test_recorded_attacks_are_read_whole_and_found(tmp_path: Path, shared: Path, name: str, rows: int) -> None:
    file = shared / "data" / "detection" / f"{name}.jsonl.xz"

    result = place(tmp_path).run("event", "import", "--json", "--at", "/event", str(file))

    assert result.exit_code == 0
    assert data(result)["events"] == rows
    assert data(result)["detections"] > 20
    assert data(result)["incidents"]["CRITICAL"] >= 1
