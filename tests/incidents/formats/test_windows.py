"""The three JSON spellings of a Windows event are one."""

from typing import Any

import pytest

from aegis.incidents.formats.windows import read_windows

EVTX = {
    "Event": {
        "#attributes": {"xmlns": "x"},
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5"}},
            "EventID": 1,
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "WS7",
            "EventRecordID": 7,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-03T23:40:10.1Z"}},
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": {"Image": "C:\\x.exe", "New Value": "1"},
    }
}
BEAT = {
    "@timestamp": "2026-03-03T23:40:10.1Z",
    "winlog": {
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "event_id": "1",
        "computer_name": "WS7",
        "provider_name": "Microsoft-Windows-Sysmon",
        "event_data": {"Image": "C:\\x.exe", "New Value": "1"},
    },
}
FLAT = {
    "EventID": "1",
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Hostname": "WS7",
    "SourceName": "Microsoft-Windows-Sysmon",
    "Image": "C:\\x.exe",
    "New Value": "1",
}


@pytest.mark.parametrize("event", [EVTX, BEAT, FLAT])
def test_the_same_event_reads_the_same(event: dict[str, Any]) -> None:
    read = read_windows(dict(event))
    assert read is not None
    assert (
        read.items()
        >= {
            "EventID": 1,
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "WS7",
            "Provider_Name": "Microsoft-Windows-Sysmon",
            "Image": "C:\\x.exe",
            "NewValue": "1",
        }.items()
    )


def test_what_the_system_wrote_wins_over_the_event() -> None:
    system = {"EventID": {"#text": "104", "#attributes": {"Qualifiers": 0}}, "Channel": "System", "Computer": "WS7"}
    event = {
        "Event": {"System": system, "UserData": {"LogFileCleared": {"Channel": "Security", "SubjectUserName": "bob"}}}
    }
    assert read_windows(event) == {"EventID": 104, "Channel": "System", "Computer": "WS7", "SubjectUserName": "bob"}


def test_unnamed_values_stay_a_list() -> None:
    event = {
        "Event": {
            "System": {"EventID": 600, "Channel": "Windows PowerShell"},
            "EventData": {"Data": {"#text": ["a", "b"]}},
        }
    }
    read = read_windows(event)
    assert read is not None
    assert read["Data"] == ["a", "b"]


@pytest.mark.parametrize("value", [{}, {"Event": 1}, {"Event": {"System": None}}, {"winlog": {}}, {"EventID": 1}])
def test_other_values_are_none(value: dict[str, Any]) -> None:
    assert read_windows(value) is None
