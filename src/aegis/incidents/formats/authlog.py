"""What sshd, sudo, su, the account tools and cron say in their messages, as fields.

Policy: names and commands in these messages are chosen by whoever attacks. Patterns are anchored at both ends and
take the last possible place for the address, so that a user named `root from 1.2.3.4 port 22` moves nothing.
`action` says what was tried (`login`, `probe`, `session`, `sudo`, `su`, `account`, `group`, `password`, `job`);
one attempt has one line with `action: login`, whatever else the daemon says about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from aegis.incidents.formats.records import Form

Reading: TypeAlias = tuple[re.Pattern[str], Mapping[str, str]]


def _reading(pattern: str, **fields: str) -> Reading:
    return re.compile(pattern + r"\Z", re.ASCII | re.DOTALL), fields


_FROM = r" from (?P<source_ip>\S+) port (?P<source_port>\d+)"
_PAM_FAILURE = r"pam_\w+\([^)]*:auth\): authentication failure;.* ruser=(?P<ruser>\S*) rhost=(?P<source_ip>\S*)(?:  user=(?P<user>.*))?"
_PAM_SESSION = r"pam_unix\([^)]*:session\): session (?P<session>opened|closed) for user (?P<user>[^ (]+).*"

SSHD: Sequence[Reading] = (
    _reading(
        r"Failed (?P<auth_method>\S+) for (?P<invalid>invalid user )?(?P<user>.*)" + _FROM + r"(?: ssh\d)?(?:: .*)?",
        action="login", outcome="failure",
    ),
    _reading(
        r"Accepted (?P<auth_method>\S+) for (?P<user>.*)" + _FROM + r"(?: ssh\d)?(?:: (?P<key>.*))?",
        action="login", outcome="success",
    ),
    _reading(
        r"(?:Invalid|Illegal) user (?P<user>.*) from (?P<source_ip>\S+)(?: port (?P<source_port>\d+))?",
        action="probe", outcome="failure", reason="unknown user",
    ),
    _reading(
        r"(?:error: )?maximum authentication attempts exceeded for (?P<invalid>invalid user )?(?P<user>.*)" + _FROM
        + r"(?: ssh\d)?(?: \[preauth\])?",
        action="probe", outcome="failure", reason="too many attempts",
    ),
    _reading(
        r"User (?P<user>.*) from (?P<source_ip>\S+) not allowed because (?P<reason>.*)",
        action="probe", outcome="failure",
    ),
    _reading(
        r"Connection (?:closed|reset) by (?:(?:authenticating|invalid) user (?P<user>\S*) )?(?P<source_ip>\S+)"
        r" port (?P<source_port>\d+)(?: \[preauth\])?",
        action="probe",
    ),
    _reading(
        r"Did not receive identification string from (?P<source_ip>\S+)(?: port (?P<source_port>\d+))?",
        action="probe", outcome="failure", reason="no identification",
    ),
    _reading(
        r"(?:banner exchange: Connection from (?P<source_ip>\S+) port (?P<source_port>\d+): .*)",
        action="probe", outcome="failure", reason="no ssh client",
    ),
    _reading(r"(?:Disconnected|Received disconnect) from (?:user (?P<user>\S+) )?(?P<source_ip>\S+).*", action="session"),
    _reading(_PAM_FAILURE, action="probe", outcome="failure"),
    _reading(_PAM_SESSION, action="session"),
)  # fmt: skip

_SUDO_TAIL = r"(?: ; | )?TTY=(?P<tty>\S+) ; PWD=(?P<pwd>.*?) ; USER=(?P<target_user>\S+) ;(?: GROUP=\S+ ;)?(?: .*?)?COMMAND=(?P<command>.*)"
SUDO: Sequence[Reading] = (
    _reading(r"\s*(?P<user>\S+) : " + _SUDO_TAIL, action="sudo", outcome="success"),
    _reading(r"\s*(?P<user>\S+) : (?P<reason>[^;]*?) ;" + _SUDO_TAIL, action="sudo", outcome="failure"),
    _reading(_PAM_FAILURE, action="sudo", outcome="failure", reason="wrong password"),
    _reading(_PAM_SESSION, action="session"),
)  # fmt: skip

SU: Sequence[Reading] = (
    _reading(r"\(to (?P<target_user>\S+)\) (?P<user>\S+) on (?P<tty>\S+)", action="su", outcome="success"),
    _reading(r"Successful su for (?P<target_user>\S+) by (?P<user>\S+)", action="su", outcome="success"),
    _reading(r"FAILED SU \(to (?P<target_user>\S+)\) (?P<user>\S+) on (?P<tty>\S+)", action="su", outcome="failure"),
    _reading(r"FAILED su for (?P<target_user>\S+) by (?P<user>\S+)", action="su", outcome="failure"),
    _reading(_PAM_FAILURE, action="probe", outcome="failure"),
    _reading(_PAM_SESSION, action="session"),
)  # fmt: skip

ACCOUNTS: Sequence[Reading] = (
    _reading(
        r"new user: name=(?P<user>[^,]+), UID=(?P<uid>\d+).*?(?:, shell=(?P<shell>[^,]+))?(?:, from=\S*)?",
        action="account", outcome="success",
    ),
    _reading(r"(?:delete user|removed user) '(?P<user>[^']+)'.*", action="account_removed", outcome="success"),
    _reading(r"add '(?P<user>[^']+)' to (?:shadow )?group '(?P<group>[^']+)'", action="group", outcome="success"),
    _reading(
        r"user (?P<user>\S+) added by (?P<by>\S+) to group (?P<group>\S+)", action="group", outcome="success"
    ),
    _reading(r"new group: name=(?P<group>[^,]+), GID=\d+", action="group_created", outcome="success"),
    _reading(
        r"change user '(?P<user>[^']+)' (?P<changed>[\w ]+?) from '(?P<old>[^']*)' to '(?P<new>[^']*)'",
        action="account_changed", outcome="success",
    ),
    _reading(r"(?:pam_unix\([^)]*\): )?password changed for (?P<user>\S+)", action="password", outcome="success"),
)  # fmt: skip

CRON: Sequence[Reading] = (
    _reading(r"\((?P<user>[^)]+)\) CMD \((?P<command>.*)\)", action="job"),
    _reading(
        r"\((?P<user>[^)]+)\) (?P<change>REPLACE|DELETE|BEGIN EDIT|END EDIT|LIST|RELOAD) \((?P<target_user>[^)]+)\)",
        action="crontab",
    ),
    _reading(_PAM_SESSION, action="session"),
)

_BY_PROGRAM: Mapping[str, tuple[Form, Sequence[Reading]]] = {
    "sshd": ("sshd", SSHD),
    "sshd-session": ("sshd", SSHD),  # OpenSSH 9.8 split the daemon
    "sshd-auth": ("sshd", SSHD),  # and 10.0 once more
    "sudo": ("sudo", SUDO),
    "su": ("auth", SU),
    **dict.fromkeys(
        ("useradd", "adduser", "usermod", "userdel", "deluser", "groupadd", "groupmod", "gpasswd", "passwd", "chpasswd", "chfn", "chsh"),
        ("auth", ACCOUNTS),
    ),
    **dict.fromkeys(("CRON", "cron", "crond", "crontab"), ("cron", CRON)),
}  # fmt: skip
_REPEATED = re.compile(r"message repeated (?P<count>\d{1,6}) times: \[ ?(?P<message>.*)\]\Z", re.DOTALL)


def read_message(program: str, message: str) -> tuple[Form, dict[str, Any]]:
    """What the program's message says. An unknown program or message gives no fields, only the form.

    rsyslog's `message repeated N times` is read as the message it repeats, with `count`.
    """
    form, readings = _BY_PROGRAM.get(program, ("syslog", ()))
    fields: dict[str, Any] = {}
    if message.startswith("message repeated ") and (repeated := _REPEATED.match(message)):
        fields["count"] = int(repeated["count"])
        message = repeated["message"]
    for pattern, constants in readings:
        if found := pattern.match(message):
            fields.update(constants)
            fields.update({name: text for name, text in found.groupdict().items() if text})
            break
    return form, fields
