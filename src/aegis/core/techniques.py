"""The ATT&CK tactics, and every technique that our own rules name: ids, names and tactics, nothing else.

Facts from MITRE ATT&CK Enterprise 18.1. The full catalogue is fetched or given by the user (`aegis attack update`);
this table makes sure that a technique is never shown as a bare number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique: `T1110.001`, `Brute Force: Password Guessing`, and the short names of its tactics."""

    id: str
    name: str
    tactics: tuple[str, ...]

    @property
    def link(self) -> str:
        """Its page in the public catalogue."""
        return f"https://attack.mitre.org/techniques/{self.id.replace('.', '/')}/"


TACTICS: Mapping[str, str] = {
    "reconnaissance": "Reconnaissance",
    "resource-development": "Resource Development",
    "initial-access": "Initial Access",
    "execution": "Execution",
    "persistence": "Persistence",
    "privilege-escalation": "Privilege Escalation",
    "defense-evasion": "Defense Evasion",
    "credential-access": "Credential Access",
    "discovery": "Discovery",
    "lateral-movement": "Lateral Movement",
    "collection": "Collection",
    "command-and-control": "Command and Control",
    "exfiltration": "Exfiltration",
    "impact": "Impact",
}
"""Short name, as rules tag it, to the name people read; in the order of an intrusion."""

_TABLE: tuple[tuple[str, str, str], ...] = (
    ("T1003.001", "OS Credential Dumping: LSASS Memory", "credential-access"),
    ("T1003.002", "OS Credential Dumping: Security Account Manager", "credential-access"),
    ("T1003.003", "OS Credential Dumping: NTDS", "credential-access"),
    ("T1003.006", "OS Credential Dumping: DCSync", "credential-access"),
    ("T1003.008", "OS Credential Dumping: /etc/passwd and /etc/shadow", "credential-access"),
    ("T1005", "Data from Local System", "collection"),
    ("T1027.010", "Obfuscated Files or Information: Command Obfuscation", "defense-evasion"),
    ("T1033", "System Owner/User Discovery", "discovery"),
    ("T1037", "Boot or Logon Initialization Scripts", "persistence privilege-escalation"),
    ("T1053.003", "Scheduled Task/Job: Cron", "execution persistence privilege-escalation"),
    ("T1053.005", "Scheduled Task/Job: Scheduled Task", "execution persistence privilege-escalation"),
    ("T1055", "Process Injection", "privilege-escalation defense-evasion"),
    ("T1059.001", "Command and Scripting Interpreter: PowerShell", "execution"),
    ("T1059.004", "Command and Scripting Interpreter: Unix Shell", "execution"),
    ("T1059.009", "Command and Scripting Interpreter: Cloud API", "execution"),
    ("T1070.001", "Indicator Removal: Clear Windows Event Logs", "defense-evasion"),
    ("T1070.002", "Indicator Removal: Clear Linux or Mac System Logs", "defense-evasion"),
    ("T1078", "Valid Accounts", "initial-access persistence privilege-escalation defense-evasion"),
    ("T1078.003", "Valid Accounts: Local Accounts", "initial-access persistence privilege-escalation defense-evasion"),
    ("T1078.004", "Valid Accounts: Cloud Accounts", "initial-access persistence privilege-escalation defense-evasion"),
    ("T1082", "System Information Discovery", "discovery"),
    ("T1087", "Account Discovery", "discovery"),
    ("T1098", "Account Manipulation", "persistence privilege-escalation"),
    ("T1098.001", "Account Manipulation: Additional Cloud Credentials", "persistence privilege-escalation"),
    ("T1098.003", "Account Manipulation: Additional Cloud Roles", "persistence privilege-escalation"),
    ("T1098.007", "Account Manipulation: Additional Local or Domain Groups", "persistence privilege-escalation"),
    ("T1105", "Ingress Tool Transfer", "command-and-control"),
    ("T1110", "Brute Force", "credential-access"),
    ("T1110.001", "Brute Force: Password Guessing", "credential-access"),
    ("T1110.003", "Brute Force: Password Spraying", "credential-access"),
    ("T1110.004", "Brute Force: Credential Stuffing", "credential-access"),
    ("T1133", "External Remote Services", "initial-access persistence"),
    ("T1136.001", "Create Account: Local Account", "persistence"),
    ("T1136.003", "Create Account: Cloud Account", "persistence"),
    ("T1190", "Exploit Public-Facing Application", "initial-access"),
    ("T1204.002", "User Execution: Malicious File", "execution"),
    ("T1218.005", "System Binary Proxy Execution: Mshta", "defense-evasion"),
    ("T1218.010", "System Binary Proxy Execution: Regsvr32", "defense-evasion"),
    ("T1490", "Inhibit System Recovery", "impact"),
    ("T1496.001", "Resource Hijacking: Compute Hijacking", "impact"),
    ("T1496.004", "Resource Hijacking: Cloud Service Hijacking", "impact"),
    ("T1505.003", "Server Software Component: Web Shell", "persistence"),
    ("T1526", "Cloud Service Discovery", "discovery"),
    ("T1530", "Data from Cloud Storage", "collection"),
    ("T1537", "Transfer Data to Cloud Account", "exfiltration"),
    ("T1543.003", "Create or Modify System Process: Windows Service", "persistence privilege-escalation"),
    (
        "T1546.003",
        "Event Triggered Execution: Windows Management Instrumentation Event Subscription",
        "persistence privilege-escalation",
    ),
    ("T1546.008", "Event Triggered Execution: Accessibility Features", "persistence privilege-escalation"),
    (
        "T1546.012",
        "Event Triggered Execution: Image File Execution Options Injection",
        "persistence privilege-escalation",
    ),
    (
        "T1547.001",
        "Boot or Logon Autostart Execution: Registry Run Keys / Startup Folder",
        "persistence privilege-escalation",
    ),
    ("T1548", "Abuse Elevation Control Mechanism", "privilege-escalation defense-evasion"),
    (
        "T1548.002",
        "Abuse Elevation Control Mechanism: Bypass User Account Control",
        "privilege-escalation defense-evasion",
    ),
    ("T1548.003", "Abuse Elevation Control Mechanism: Sudo and Sudo Caching", "privilege-escalation defense-evasion"),
    ("T1552.001", "Unsecured Credentials: Credentials In Files", "credential-access"),
    ("T1555.006", "Credentials from Password Stores: Cloud Secrets Management Stores", "credential-access"),
    ("T1558.003", "Steal or Forge Kerberos Tickets: Kerberoasting", "credential-access"),
    ("T1562.001", "Impair Defenses: Disable or Modify Tools", "defense-evasion"),
    ("T1562.004", "Impair Defenses: Disable or Modify System Firewall", "defense-evasion"),
    ("T1562.007", "Impair Defenses: Disable or Modify Cloud Firewall", "defense-evasion"),
    ("T1562.008", "Impair Defenses: Disable or Modify Cloud Logs", "defense-evasion"),
    ("T1566.001", "Phishing: Spearphishing Attachment", "initial-access"),
    ("T1569.002", "System Services: Service Execution", "execution"),
    ("T1580", "Cloud Infrastructure Discovery", "discovery"),
    ("T1595.002", "Active Scanning: Vulnerability Scanning", "reconnaissance"),
    ("T1595.003", "Active Scanning: Wordlist Scanning", "reconnaissance"),
)

TECHNIQUES: Mapping[str, Technique] = {
    id_: Technique(id_, name, tuple(tactics.split())) for id_, name, tactics in _TABLE
}
