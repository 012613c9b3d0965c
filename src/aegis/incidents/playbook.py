"""What to know and do first, by tactic, technique and platform: the words of the offline analysis.

Policy: every step can be undone or only looks; contain before clean; evidence first, nothing is deleted. `{who}`,
`{host}`, `{ip}` and `{key}` are filled with what the incident names. Tactics are those of MITRE ATT&CK Enterprise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Play:
    """One tactic: where it stands in an attack, how it reads in a sentence, what it means, what to do first.

    `steps` and `impact_on` are by platform (aws, windows, linux, web, models); "" is for all others. A step whose
    names the incident does not have is left out.
    """

    order: int
    words: str
    impact: str
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    impact_on: Mapping[str, str] = field(default_factory=dict)


_CONTAIN = {
    "aws": (
        "Make the access keys of {who} inactive and attach a deny-all policy; do not delete them, they are evidence.",
        "Read everything {who} did in CloudTrail since an hour before the first detection.",
    ),
    "windows": (
        "Disable {who} in the directory and end its sessions; reset the password after that.",
        "Read the logons of {who} (events 4624, 4625, 4648) on every host since an hour before the first detection.",
    ),
    "linux": (
        "Lock {who} on {host}, end its sessions, and look for keys in authorized_keys that nobody knows.",
        "Read the login and sudo lines of {who} on every host since an hour before the first detection.",
    ),
    "models": (
        "Disable {key} at its provider and give its owner a new one.",
        "Read which addresses and models {key} was used with, and since when.",
    ),
    "": (
        "Suspend {who} and end its sessions until its owner confirms the activity.",
        "Read everything {who} did since an hour before the first detection.",
    ),
}
_BLOCK = "Block {ip} at the edge if it belongs to nobody you know."
_ISOLATE = "Take {host} off the network but leave it running: memory is evidence."
_ASK = "Ask the owner of {who} whether this was meant; use another channel than the account itself."

PLAYS: Mapping[str, Play] = {
    "reconnaissance": Play(
        1,
        "looking for a way in",
        "Somebody is looking for weak points; nothing says yet that anything was entered.",
        {"": ("Check whether any of the requests was answered with success, and what it showed.", _BLOCK)},
    ),
    "resource-development": Play(
        2,
        "preparing tools",
        "Somebody prepares infrastructure or accounts to attack from.",
        {"": ("Check whether the accounts or domains named here imitate yours.", _BLOCK)},
    ),
    "initial-access": Play(
        3,
        "getting in",
        "An outsider may have a foothold: what that account or server can reach is at risk.",
        {
            "web": (
                "Check whether the request was answered with success (status 200, unusual size) and what ran next.",
                _BLOCK,
                "Compare the files under the web root of {host} with the last release.",
            ),
            "": (_ASK, _BLOCK),
        },
    ),
    "execution": Play(
        4,
        "running code",
        "Code that nobody approved has run: assume that everything this user can do on that machine was possible.",
        {
            "windows": (
                _ISOLATE,
                "Find the parent process and what it started next (Sysmon 1, event 4688) on {host}.",
                "Look for the same command line on all other hosts.",
            ),
            "": (_ISOLATE, "Find what started the process on {host}, and what it started and fetched next."),
        },
    ),
    "persistence": Play(
        5,
        "making sure to come back",
        "The intruder can come back after a password change or a restart.",
        {
            "aws": (
                "List users, keys, roles and trust policies made or changed since the first detection; disable the new ones.",
            ),
            "windows": (
                "List services, scheduled tasks and Run keys on {host} that are newer than the first detection; disable them.",
            ),
            "linux": ("List users with UID 0, cron entries, units and authorized_keys on {host} that are new.",),
            "": ("List accounts, keys and start-up entries that are newer than the first detection; disable them.",),
        },
    ),
    "privilege-escalation": Play(
        6,
        "gaining rights",
        "The account now has more rights than it should: containing it cannot wait for an explanation.",
        {
            "aws": ("Detach the policies and end the role sessions that {who} gained since the first detection.",),
            "": ("Take away the rights that {who} gained since the first detection, and check who else gained any.",),
        },
    ),
    "defense-evasion": Play(
        7,
        "hiding traces",
        "Logs or protection were tampered with: what you see from here on may not be everything.",
        {
            "aws": ("Turn the trail back on, and protect its bucket and its settings from {who}.",),
            "": (
                "Turn logging and protection back on, and fetch the copies that left {host} before it was tampered with.",
            ),
        },
    ),
    "credential-access": Play(
        8,
        "stealing or guessing credentials",
        "Passwords, keys or tickets may be in other hands and be used from elsewhere.",
        {
            "": (
                "Change the passwords, keys and tickets of {who} that were within reach.",
                "Look for logins of {who} from new places since the first detection.",
                _BLOCK,
            ),
            "models": (_BLOCK,),
        },
        {"models": "The key may be in other hands: what it can reach and spend is no longer yours to decide."},
    ),
    "discovery": Play(
        9,
        "looking around inside",
        "Somebody inside is learning the lay of the land; the next step is usually sideways or up.",
        {"": (_ASK, "Check what {who} looked at and whether it fits the job.")},
    ),
    "lateral-movement": Play(
        10,
        "moving sideways",
        "More machines than this one may be affected.",
        {
            "": (
                _ISOLATE,
                "List where {who} went from {host} since the first detection, and check those hosts the same way.",
            )
        },
    ),
    "collection": Play(
        11,
        "gathering data",
        "Data is being gathered, most often to carry it out.",
        {"": ("Find out which data {who} read or packed, and whose it is.",)},
    ),
    "command-and-control": Play(
        12,
        "talking to an outside controller",
        "A machine takes orders from outside.",
        {"": (_ISOLATE, "Block the destination, and look for other machines that talk to it.")},
    ),
    "exfiltration": Play(
        13,
        "carrying data out",
        "Data may have left: the clock for telling those concerned may be running (GDPR article 33: 72 hours).",
        {
            "aws": (
                "Take public and cross-account access off the buckets and snapshots named here.",
                "Count what was read: which objects, how much, whose data; keep the data event logs.",
            ),
            "": (
                "Stop the transfer: block the destination and contain {who}.",
                "Count what left: which files, how much, whose data; keep the flow logs.",
            ),
        },
    ),
    "impact": Play(
        14,
        "doing damage",
        "Something is being destroyed, encrypted, changed or used up; every minute costs.",
        {
            "models": (
                "Set the budget of {key} to zero until its owner has been reached.",
                "Check whether prompts or answers under {key} held data of yours.",
            ),
            "": (_ISOLATE, "Protect the backups first: take them out of reach of {who}."),
        },
        {"models": "Somebody spends your money through the key; every minute costs."},
    ),
}
"""By tactic, in the order of an attack."""

ALIASES = {"stealth": "defense-evasion", "defense-impairment": "defense-evasion", "impair-defenses": "defense-evasion"}
"""Names that newer ATT&CK releases or rule packs use for the same thing."""

WHEN_NOTHING_ELSE = (
    "See who was logged in on {host} and what ran there around that time.",
    "Find out whom {ip} belongs to, and what else it asked for.",
    "Read the events behind this incident, and ask whoever runs the system whether it was meant.",
)
"""What can always be done."""

ACCOUNT_TACTICS = frozenset(
    {"initial-access", "persistence", "privilege-escalation", "credential-access", "exfiltration"}
)
"""Tactics where the account comes first."""

TECHNIQUE_STEPS: Mapping[str, str] = {
    "T1110": "Check whether a login from {ip} succeeded after the failures; if so, treat that account as taken over.",
    "T1078": "Compare this login of {who} with its usual place, hour and device before you believe it.",
    "T1098": "Undo the changes to accounts and rights made by {who} since the first detection.",
    "T1136": "Disable the account that was created, and find out who or what asked for it.",
    "T1190": "Check the version and the patches of what {ip} attacked; take it behind a filter until that is done.",
    "T1505.003": "Look for a web shell: new or changed scripts under the web root of {host}; copy them before removal.",
    "T1059": "Save the full command line and the script it ran; search for both on other hosts.",
    "T1003": "Treat every account that was logged in on {host} as known to the intruder.",
    "T1055": "Take a memory image of {host} before anything is restarted.",
    "T1070": "Compare the central copy of the logs with those on {host}: what is missing tells what was hidden.",
    "T1486": "Disconnect file shares and backups now; find the first encrypted file to learn where it began.",
    "T1490": "Check that backups and snapshots still exist, and copy one out of reach.",
    "T1496": "Stop what is being used up, at the provider and not only here, and ask for the bill to be watched.",
    "T1530": "List the objects that were read from the bucket, and take public access away.",
    "T1537": "Take back the sharing of snapshots, images or buckets with foreign accounts.",
    "T1552": "Rotate every key and password that stood where {who} has looked.",
    "T1528": "Revoke the tokens of {who}; a new password alone does not end them.",
    "T1562": "Turn the protection back on from outside {host}, and watch whether it stays on.",
    "T1566": "Find who else got the same message, and take it out of their mailboxes.",
}
"""One step more for techniques where it is known what helps; a sub-technique takes its parent's."""


def play_of(tactic: str) -> Play | None:
    """The play of a tactic as rules write it (`initial-access`, `initial_access`, `Initial Access`)."""
    name = tactic.lower().strip().replace("_", "-").replace(" ", "-")
    return PLAYS.get(ALIASES.get(name, name))


def contain(platform: str) -> tuple[str, ...]:
    """How an account is contained on a platform."""
    return _CONTAIN.get(platform, _CONTAIN[""])
