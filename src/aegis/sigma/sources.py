"""Which log source an event is, in Sigma's words, and which of its fields are constant for that kind of event.

Source of the channels and event ids: Sigma taxonomy appendix 2.1.0 (Windows folder); services that SigmaHQ's rules use
and the appendix does not list carry their channel's documented name. An event may be several things at once: Sysmon's
event 13 is `registry_set`, `registry_event` and service `sysmon`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aegis.core.incidents import LogSource
from aegis.sigma.fields import Fields, Reading

AS_IS = Reading()
_WINDOWS = Reading(empty_is_null=True)
_SPACED_WINDOWS = Reading(empty_is_null=True, spaced=True)


@dataclass(frozen=True, slots=True)
class Facets:
    """What an event is: its products, categories and services, all that apply. `constants` names the fields that
    choose the class of the event.
    """

    products: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    constants: tuple[str, ...] = ()
    reading: Reading = AS_IS

    def accepts(self, rule: LogSource) -> bool:
        """Whether a rule for this log source looks at such events: everything the rule names has to apply."""
        return (
            (not rule.product or rule.product in self.products)
            and (not rule.category or rule.category in self.categories)
            and (not rule.service or rule.service in self.services)
        )


SYSMON = "microsoft-windows-sysmon/operational"

_SYSMON_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "1": ("process_creation",),
    "2": ("file_change",),
    "3": ("network_connection",),
    "4": ("sysmon_status",),
    "5": ("process_termination",),
    "6": ("driver_load",),
    "7": ("image_load",),
    "8": ("create_remote_thread",),
    "9": ("raw_access_thread",),
    "10": ("process_access",),
    "11": ("file_event",),
    "12": ("registry_event", "registry_add", "registry_delete"),
    "13": ("registry_event", "registry_set"),
    "14": ("registry_event", "registry_rename"),
    "15": ("create_stream_hash",),
    "16": ("sysmon_status",),
    "17": ("pipe_created",),
    "18": ("pipe_created",),
    "19": ("wmi_event",),
    "20": ("wmi_event",),
    "21": ("wmi_event",),
    "22": ("dns_query",),
    "23": ("file_delete",),
    "24": ("clipboard_capture", "clipboard_change"),
    "25": ("process_tampering",),
    "26": ("file_delete", "file_delete_detected"),
    "27": ("file_block_executable",),
    "28": ("file_block_shredding",),
    "29": ("file_executable_detected",),
    "255": ("sysmon_error",),
}

_SERVICES: Mapping[str, str] = {
    "application": "application",
    "dns server": "dns-server",
    "microsoft-iis-configuration/operational": "iis-configuration",
    "microsoft-servicebus-client/admin": "microsoft-servicebus-client",
    "microsoft-servicebus-client/operational": "microsoft-servicebus-client",
    "microsoft-windows-application-experience/program-compatibility-assistant": "application-experience",
    "microsoft-windows-application-experience/program-telemetry": "application-experience",
    "microsoft-windows-applocker/exe and dll": "applocker",
    "microsoft-windows-applocker/msi and script": "applocker",
    "microsoft-windows-applocker/packaged app-deployment": "applocker",
    "microsoft-windows-applocker/packaged app-execution": "applocker",
    "microsoft-windows-appmodel-runtime/admin": "appmodel-runtime",
    "microsoft-windows-appxdeploymentserver/operational": "appxdeployment-server",
    "microsoft-windows-appxpackaging/operational": "appxpackaging-om",
    "microsoft-windows-bitlocker/bitlocker management": "bitlocker",
    "microsoft-windows-bits-client/operational": "bits-client",
    "microsoft-windows-capi2/operational": "capi2",
    "microsoft-windows-certificateservicesclient-lifecycle-system/operational": "certificateservicesclient-lifecycle-system",
    "microsoft-windows-codeintegrity/operational": "codeintegrity-operational",
    "microsoft-windows-dhcp-server/operational": "dhcp",
    "microsoft-windows-diagnosis-scripted/operational": "diagnosis-scripted",
    "microsoft-windows-dns client events/operational": "dns-client",
    "microsoft-windows-dns-client/operational": "dns-client",
    "microsoft-windows-dns-server/analytical": "dns-server-analytic",
    "microsoft-windows-dns-server/audit": "dns-server-audit",
    "microsoft-windows-driverframeworks-usermode/operational": "driver-framework",
    "microsoft-windows-hyper-v-worker": "hyper-v-worker",
    "microsoft-windows-kernel-eventtracing": "kernel-event-tracing",
    "microsoft-windows-kernel-shimengine/diagnostic": "kernel-shimengine",
    "microsoft-windows-kernel-shimengine/operational": "kernel-shimengine",
    "microsoft-windows-ldap-client/debug": "ldap",
    "microsoft-windows-lsa/operational": "lsa-server",
    "microsoft-windows-ntfs/operational": "ntfs",
    "microsoft-windows-ntlm/operational": "ntlm",
    "microsoft-windows-powershell/operational": "powershell",
    "microsoft-windows-printservice/admin": "printservice-admin",
    "microsoft-windows-printservice/operational": "printservice-operational",
    "microsoft-windows-security-mitigations/kernel mode": "security-mitigations",
    "microsoft-windows-security-mitigations/user mode": "security-mitigations",
    "microsoft-windows-sense/operational": "sense",
    "microsoft-windows-shell-core/operational": "shell-core",
    "microsoft-windows-smbclient/connectivity": "smbclient-connectivity",
    "microsoft-windows-smbclient/security": "smbclient-security",
    "microsoft-windows-smbserver/connectivity": "smbserver-connectivity",
    SYSMON: "sysmon",
    "microsoft-windows-taskscheduler/operational": "taskscheduler",
    "microsoft-windows-terminalservices-localsessionmanager/operational": "terminalservices-localsessionmanager",
    "microsoft-windows-vhdmp/operational": "vhdmp",
    "microsoft-windows-windows defender/operational": "windefend",
    "microsoft-windows-windows firewall with advanced security/firewall": "firewall-as",
    "microsoft-windows-wmi-activity/operational": "wmi",
    "msexchange management": "msexchange-management",
    "openssh/operational": "openssh",
    "powershellcore/operational": "powershell",
    "security": "security",
    "system": "system",
    "windows powershell": "powershell-classic",
}

_CATEGORIES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("powershell", "4103"): ("ps_module",),
    ("powershell", "4104"): ("ps_script",),
    ("powershell-classic", "400"): ("ps_classic_start",),
    ("powershell-classic", "600"): ("ps_classic_provider_start",),
    ("powershell-classic", "800"): ("ps_classic_script",),
    ("security", "4688"): ("process_creation",),
}

_PROVIDERS: Mapping[str, str] = {
    "microsoft-windows-sysmon": SYSMON,
    "microsoft-windows-security-auditing": "security",
}
"""Exporters that drop the channel still name the provider."""

_PROCESS_AUDIT = Reading(
    aliases={
        "Image": "NewProcessName",
        "ParentImage": "ParentProcessName",
        "ProcessId": "NewProcessId",
        "ParentProcessId": "ProcessId",
        "LogonId": "SubjectLogonId",
        "IntegrityLevel": "MandatoryLabel",
    },
    empty_is_null=True,
)
"""Process creation has two sources; the audit event 4688 has its own names for what Sysmon's event 1 records."""

_WINDOWS_FIELDS = ("EventID",)
_CLOUDTRAIL_FIELDS = ("eventSource", "eventName")


def facets_of(view: Fields, channel: str, number: str, declared: LogSource | None) -> Facets:
    """What an event is. `channel` (lower case) and `number` are its Windows channel and event id as text, empty where
    it has none; `declared` is what the caller knows and is added to what the event itself shows.
    """
    if number and (channel or (channel := _PROVIDERS.get(_lower(view, "Provider_Name", "SourceName"), ""))):
        return _windows(channel, number, declared)
    if declared is None:
        if "eventSource" in view and "eventName" in view:
            declared = LogSource(product="aws", service="cloudtrail")
        elif "cs-method" in view or "cs-uri-stem" in view:
            declared = LogSource(category="webserver")
        else:
            return Facets()
    constants = _CLOUDTRAIL_FIELDS if declared.service == "cloudtrail" else ()
    return Facets(
        frozenset((declared.product,)), frozenset((declared.category,)), frozenset((declared.service,)), constants
    )


def _windows(channel: str, number: str, declared: LogSource | None) -> Facets:
    service = _SERVICES.get(channel, "")
    known = _SYSMON_CATEGORIES.get(number, ()) if service == "sysmon" else _CATEGORIES.get((service, number), ())
    products, categories, services = {"windows"}, set(known), {service}
    if declared is not None:
        products.add(declared.product)
        categories.add(declared.category)
        services.add(declared.service)
    if service == "security" and number == "4688":
        reading = _PROCESS_AUDIT
    else:
        reading = _SPACED_WINDOWS if service in ("windefend", "") else _WINDOWS
    return Facets(
        frozenset(products),
        frozenset(categories),
        frozenset(services),
        _WINDOWS_FIELDS,
        reading,
    )


def _lower(view: Fields, *names: str) -> str:
    value: Any = next((view[name] for name in names if name in view), "")
    return value.lower() if isinstance(value, str) else ""
