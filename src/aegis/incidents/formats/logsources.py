"""Which log source a record comes from, in Sigma's words, found from its content.

Source of the names: Sigma taxonomy appendix 2.1.0; Sysmon's event ids from its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core.incidents import LogSource
from aegis.incidents.formats.records import Form, Record

UNKNOWN = LogSource()
CLOUDTRAIL = LogSource(product="aws", service="cloudtrail")
MODEL_USAGE = LogSource(product="aegis", service="model_usage")

_BY_FORM: Mapping[Form, LogSource] = {
    "sshd": LogSource(product="linux", service="sshd"),
    "sudo": LogSource(product="linux", service="sudo"),
    "auth": LogSource(product="linux", service="auth"),
    "cron": LogSource(product="linux", service="cron"),
    "syslog": LogSource(product="linux", service="syslog"),
    "web": LogSource(category="webserver"),
}

_SYSMON = "microsoft-windows-sysmon/operational"
_SYSMON_CATEGORIES = {
    1: "process_creation",
    2: "file_change",
    3: "network_connection",
    4: "sysmon_status",
    5: "process_termination",
    6: "driver_load",
    7: "image_load",
    8: "create_remote_thread",
    9: "raw_access_thread",
    10: "process_access",
    11: "file_event",
    12: "registry_add",
    13: "registry_set",
    14: "registry_rename",
    15: "create_stream_hash",
    16: "sysmon_status",
    17: "pipe_created",
    18: "pipe_created",
    19: "wmi_event",
    20: "wmi_event",
    21: "wmi_event",
    22: "dns_query",
    23: "file_delete",
    24: "clipboard_capture",
    25: "process_tampering",
    26: "file_delete",
    27: "file_block_executable",
    28: "file_block_shredding",
    29: "file_executable_detected",
    255: "sysmon_error",
}
_CHANNELS = {
    "security": "security",
    "system": "system",
    "application": "application",
    _SYSMON: "sysmon",
    "windows powershell": "powershell-classic",
    "microsoft-windows-powershell/operational": "powershell",
    "powershellcore/operational": "powershell",
    "microsoft-windows-taskscheduler/operational": "taskscheduler",
    "microsoft-windows-windows defender/operational": "windefend",
    "microsoft-windows-wmi-activity/operational": "wmi",
    "microsoft-windows-bits-client/operational": "bits-client",
    "microsoft-windows-dns-client/operational": "dns-client",
    "dns server": "dns-server",
    "microsoft-windows-dns-server/analytical": "dns-server-analytic",
    "microsoft-windows-ntlm/operational": "ntlm",
    "microsoft-windows-applocker/exe and dll": "applocker",
    "microsoft-windows-applocker/msi and script": "applocker",
    "microsoft-windows-codeintegrity/operational": "codeintegrity-operational",
    "microsoft-windows-windows firewall with advanced security/firewall": "firewall-as",
    "microsoft-windows-terminalservices-localsessionmanager/operational": "terminalservices-localsessionmanager",
    "microsoft-windows-printservice/operational": "printservice-operational",
    "microsoft-windows-printservice/admin": "printservice-admin",
    "microsoft-windows-smbclient/security": "smbclient-security",
    "microsoft-windows-security-mitigations/kernel mode": "security-mitigations",
    "microsoft-windows-security-mitigations/user mode": "security-mitigations",
    "openssh/operational": "openssh",
}
_OTHER_CATEGORIES = {
    ("security", 4688): "process_creation",
    ("powershell", 4103): "ps_module",
    ("powershell", 4104): "ps_script",
    ("powershell-classic", 400): "ps_classic_start",
    ("powershell-classic", 600): "ps_classic_provider_start",
}


def _windows_sources() -> dict[tuple[str, int], LogSource]:
    known = {
        (_SYSMON, number): LogSource("windows", category, "sysmon") for number, category in _SYSMON_CATEGORIES.items()
    }
    for (service, number), category in _OTHER_CATEGORIES.items():
        for channel, name in _CHANNELS.items():
            if name == service:
                known[channel, number] = LogSource("windows", category, service)
    return known


_WINDOWS = _windows_sources()
_WINDOWS_BY_CHANNEL = {channel: LogSource(product="windows", service=service) for channel, service in _CHANNELS.items()}
_ANY_WINDOWS = LogSource(product="windows")


def logsource_of(record: Record) -> LogSource:
    """The log source of a record; empty where its content does not tell."""
    fields = record.fields
    if record.form != "json":
        return _BY_FORM[record.form]
    if "EventID" in fields and ("Channel" in fields or "Provider_Name" in fields):
        return _windows(str(fields.get("Channel", "")).lower(), fields["EventID"])
    if "eventSource" in fields and "eventName" in fields:
        return CLOUDTRAIL
    if "key_id" in fields and "model" in fields:
        return MODEL_USAGE
    if "cs-method" in fields or "cs-uri-stem" in fields:
        return LogSource(category="webserver")
    return _declared(fields)


def _windows(channel: str, number: Any) -> LogSource:
    if isinstance(number, int) and (source := _WINDOWS.get((channel, number))):
        return source
    return _WINDOWS_BY_CHANNEL.get(channel, _ANY_WINDOWS)


def _declared(fields: Mapping[str, Any]) -> LogSource:
    """What the record says of itself in a `logsource` object: how a sender names a source that we do not know."""
    declared = fields.get("logsource")
    if not isinstance(declared, dict):
        return UNKNOWN
    words = {name: declared[name] for name in ("product", "category", "service") if isinstance(declared.get(name), str)}
    return LogSource(**{name: word.lower()[:64] for name, word in words.items()})
