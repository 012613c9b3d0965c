"""Claims about `aegis export`: the bill adds up to the ledger, follows FOCUS, and hostile names compute nothing."""

import csv
import gzip
import io
import json
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend

WORKED = [
    {
        "eventVersion": "1.09",
        "eventTime": "2026-03-03T10:00:00Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.9",
        "userIdentity": {"type": "IAMUser", "userName": "mallory", "arn": "arn:aws:iam::1:user/mallory"},
        "recipientAccountId": "1",
        "eventID": "e" * 32,
    }
]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS + 'prices: {"anthropic/m": {input_tokens: 10000.00}}\n')
    anyio.run(_spend, found)
    return found


async def _spend(here: Place) -> None:
    await spend(here, 2, 1, scope={"key": "red", "incident": "inc_1", "team": "=HYPERLINK(1)"}, prefix="a")
    await spend(here, 4, 9, scope={"key": "-blue"}, prefix="b")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_the_bill_adds_up_to_what_the_ledger_says(here: Place, version: str) -> None:
    rows = read(here.run("export", "focus", "--focus-version", version).stdout)

    total = data(here.run("spend", "--json"))["total_usd"]
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Decimal(row[column]) for row in rows) == Decimal(total) == Decimal("0.07")


def test_what_the_journal_no_longer_holds_is_in_the_bill_too(here: Place) -> None:
    with sqlite3.connect(here.home / "aegis.db") as connection:
        connection.execute("DELETE FROM ledger_journal WHERE attempt LIKE 'b-%'")
    rows = read(here.run("export", "focus").stdout)

    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("0.07")
    assert [row["BilledCost"] for row in rows if row["x_PriceSource"] == "journal no longer kept"] == ["0.04"]


def test_the_columns_are_those_of_focus_with_their_types(here: Place, shared: Path) -> None:
    contract = json.loads(gzip.decompress((shared / "contracts" / "focus_1_2.json.gz").read_bytes()))["columns"]
    rows = read(here.run("export", "focus").stdout)

    assert {name for name in rows[0] if not name.startswith("x_")} <= contract.keys()
    assert {name for name, one in contract.items() if one["presence"] == "MUST"} <= rows[0].keys()
    for row in rows:
        for name, value in row.items():
            rule: dict[str, Any] = contract.get(name, {})
            if rule.get("type") == "decimal":
                assert re.fullmatch(r"-?\d+(\.\d+)?", value), (name, value)
            if rule.get("type") == "datetime":
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), (name, value)
        unit = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert round(unit, 9) == Decimal(row["ListCost"])
        assert row["PricingUnit"] == "1000000 Tokens"
        assert (row["SubAccountId"] == "") == (row["SubAccountType"] == "")


def test_nothing_must_be_null_that_focus_wants_and_one_price_has_one_sku(here: Place, shared: Path) -> None:
    contract = json.loads(gzip.decompress((shared / "contracts" / "focus_1_2.json.gz").read_bytes()))["columns"]
    rows = read(here.run("export", "focus").stdout)

    never = {
        name
        for name, one in contract.items()
        for rule in one["rules"]
        if rule["text"] == f"{name} MUST NOT be null." and name in rows[0]
    }
    assert len(never) > 12
    assert all(row[name] for row in rows for name in never)
    skus: dict[str, set[str]] = {}
    for row in rows:
        skus.setdefault(row["SkuPriceId"], set()).add(row["SkuId"])
    assert all(len(found) == 1 for found in skus.values())


def test_version_1_4_names_who_sells_and_who_hosts(here: Place) -> None:
    [row, *_] = read(here.run("export", "focus", "--focus-version", "1.4").stdout)

    assert (row["ServiceProviderName"], row["HostProviderName"]) == ("Anthropic", "Anthropic")
    assert "ProviderName" not in row


def test_a_name_that_a_spreadsheet_would_compute_is_text(here: Place) -> None:
    focus = read(here.run("export", "focus").stdout)
    calls = read(here.run("export", "calls").stdout)

    assert {row["SubAccountId"] for row in focus} == {"red", "'-blue"}
    assert {row["team"] for row in calls} == {"'=HYPERLINK(1)", ""}


def test_every_call_of_the_journal_is_a_row(here: Place) -> None:
    rows = [json.loads(line) for line in here.run("export", "calls", "--format", "jsonl").stdout.splitlines()]

    assert [(row["call"], row["state"], row["cost_usd"]) for row in rows if row["state"] == "settled"] == [
        ("a-1", "settled", "0.02"),
        ("a-2", "settled", "0.01"),
        ("b-1", "settled", "0.04"),
    ]
    assert [row["gate"] for row in rows if row["state"] == "refused"] == ["budget"]
    assert len(rows) == len(read(here.run("export", "calls").stdout))


@pytest.fixture
def attacked(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write("{}\n")
    file = found.folder / "events.jsonl"
    file.write_text("\n".join(json.dumps(event) for event in WORKED))
    result = found.run("event", "import", str(file))
    assert result.exit_code == 0, result.stderr
    return found


def test_an_incident_is_an_ocsf_detection_finding(attacked: Place) -> None:
    [finding] = map(json.loads, attacked.run("export", "incidents", "--format", "ocsf").stdout.splitlines())

    assert (finding["class_uid"], finding["category_uid"], finding["severity_id"]) == (2004, 2, 4)
    assert finding["type_uid"] == 200400 + finding["activity_id"]
    assert finding["metadata"]["version"] == "1.8.0"
    assert {"uid", "title", "attacks"} <= finding["finding_info"].keys()
    assert finding["finding_info"]["attacks"][0]["technique"]["uid"].startswith("T")
    assert {"type_id": 2, "type": "IP Address", "name": "ip", "value": "203.0.113.9"} in finding["observables"]


def test_its_timeline_is_a_stream_of_cloudevents_with_ids_of_their_own(attacked: Place) -> None:
    found = [
        json.loads(line) for line in attacked.run("export", "incidents", "--format", "cloudevents").stdout.splitlines()
    ]

    assert all({"specversion", "id", "source", "type"} <= event.keys() for event in found)
    assert len({(event["source"], event["id"]) for event in found}) == len(found) > 1
    assert found[-1]["type"] == "aegis.incident.stands.v1"
    assert found[-1]["data"]["schema"] == "aegis.incident/1"


def test_a_file_is_written_whole_or_not_at_all(here: Place, tmp_path: Path) -> None:
    out = tmp_path / "bill.csv"
    result = here.run("export", "focus", "--out", str(out))

    assert result.exit_code == 0
    assert "$0.0700" in result.stderr
    assert out.read_bytes().count(b"\r\n") == len(read(out.read_text())) + 1
    assert list(tmp_path.glob("**/.bill.csv.part")) == []
