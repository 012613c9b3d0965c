"""What the programs of a host say becomes fields, whatever a user is called."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.incidents.formats.authlog import read_message
from aegis.incidents.formats.syslog import from_journal, read_syslog


def said(program: str, message: str) -> dict[str, Any]:
    return read_message(program, message)[1]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Failed password for root from 203.0.113.66 port 40022 ssh2",
            {"action": "login", "outcome": "failure", "user": "root", "source_ip": "203.0.113.66", "auth_method": "password"},
        ),
        (
            "Failed password for invalid user  from 2001:db8::9 port 4 ssh2",
            {"outcome": "failure", "source_ip": "2001:db8::9", "invalid": "invalid user "},
        ),
        (
            "Accepted publickey for alice from 10.0.0.7 port 40022 ssh2: ED25519 SHA256:abc/def",
            {"action": "login", "outcome": "success", "user": "alice", "auth_method": "publickey", "key": "ED25519 SHA256:abc/def"},
        ),
        ("Invalid user admin from 203.0.113.66 port 40022", {"action": "probe", "outcome": "failure", "user": "admin"}),
        (
            "error: maximum authentication attempts exceeded for root from 203.0.113.66 port 1 ssh2 [preauth]",
            {"action": "probe", "user": "root", "reason": "too many attempts"},
        ),
        ("Connection closed by authenticating user root 203.0.113.66 port 1 [preauth]", {"user": "root", "source_ip": "203.0.113.66"}),
        ("Connection reset by 203.0.113.66 port 1 [preauth]", {"action": "probe", "source_ip": "203.0.113.66"}),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.66  user=root",
            {"action": "probe", "outcome": "failure", "user": "root", "source_ip": "203.0.113.66"},
        ),
        ("pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)", {"action": "session", "user": "alice"}),
        (
            "message repeated 3 times: [ Failed password for root from 203.0.113.66 port 1 ssh2]",
            {"action": "login", "outcome": "failure", "count": 3, "user": "root"},
        ),
        ("Server listening on 0.0.0.0 port 22.", {}),
    ],
)  # fmt: skip
def test_sshd(message: str, expected: dict[str, Any]) -> None:
    assert said("sshd", message).items() >= expected.items()


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60))
def test_a_user_name_never_moves_the_address(name: str) -> None:
    hostile = f"{name} from 192.0.2.1 port 22 ssh2: x"
    read = said("sshd", f"Failed password for invalid user {hostile} from 203.0.113.66 port 40022 ssh2")
    assert (read["source_ip"], read["outcome"], read["user"]) == ("203.0.113.66", "failure", hostile)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "  deploy : TTY=pts/3 ; PWD=/home/deploy ; USER=root ; COMMAND=/bin/bash",
            {
                "outcome": "success",
                "user": "deploy",
                "target_user": "root",
                "command": "/bin/bash",
                "pwd": "/home/deploy",
            },
        ),
        (
            "  intern : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/shadow",
            {"outcome": "failure", "reason": "user NOT in sudoers", "command": "/bin/cat /etc/shadow"},
        ),
        (
            "intern : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
            {"outcome": "failure", "reason": "3 incorrect password attempts"},
        ),
        (
            "bob : TTY=pts/1 ; PWD=/ ; USER=www ; GROUP=www ; COMMAND=/bin/sh -c 'id ; USER=root ; COMMAND=x'",
            {"outcome": "success", "target_user": "www", "command": "/bin/sh -c 'id ; USER=root ; COMMAND=x'"},
        ),
    ],
)
def test_sudo(message: str, expected: dict[str, Any]) -> None:
    assert said("sudo", message).items() >= expected.items()


@pytest.mark.parametrize(
    ("program", "message", "expected"),
    [
        (
            "su",
            "(to root) alice on pts/0",
            {"action": "su", "outcome": "success", "user": "alice", "target_user": "root"},
        ),
        ("su", "FAILED SU (to root) alice on pts/0", {"outcome": "failure"}),
        ("su", "FAILED su for root by alice", {"outcome": "failure", "user": "alice"}),
        (
            "useradd",
            "new user: name=svc-backup, UID=0, GID=0, home=/root, shell=/bin/bash",
            {"action": "account", "user": "svc-backup", "uid": "0", "shell": "/bin/bash"},
        ),
        (
            "useradd",
            "new user: name=carol, UID=1004, GID=1004, home=/home/carol, shell=/bin/zsh, from=/dev/pts/1",
            {"uid": "1004", "shell": "/bin/zsh"},
        ),
        ("usermod", "add 'carol' to group 'sudo'", {"action": "group", "user": "carol", "group": "sudo"}),
        ("gpasswd", "user carol added by root to group docker", {"user": "carol", "by": "root", "group": "docker"}),
        ("passwd", "pam_unix(passwd:chauthtok): password changed for carol", {"action": "password", "user": "carol"}),
        ("userdel", "delete user 'carol'", {"action": "account_removed", "user": "carol"}),
        ("CRON", "(root) CMD (   cd / && run-parts /etc/cron.hourly)", {"action": "job", "user": "root"}),
        ("crontab", "(carol) REPLACE (carol)", {"action": "crontab", "change": "REPLACE"}),
    ],
)
def test_accounts_and_jobs(program: str, message: str, expected: dict[str, Any]) -> None:
    assert said(program, message).items() >= expected.items()


@pytest.mark.parametrize(
    "line",
    [
        "Mar  3 23:42:00 bastion-1 sshd[411]: Invalid user admin from 203.0.113.66",
        "<38>Mar  3 23:42:00 bastion-1 sshd[411]: Invalid user admin from 203.0.113.66",
        "2026-03-03T23:42:00.123456+01:00 bastion-1 sshd[411]: Invalid user admin from 203.0.113.66",
        "<38>1 2026-03-03T23:42:00.003Z bastion-1 sshd 411 ID47 - Invalid user admin from 203.0.113.66",
        '<38>1 2026-03-03T23:42:00.003Z bastion-1 sshd 411 - [a@1 k="x \\] y"][b@2] \ufeffInvalid user admin from 203.0.113.66',
    ],
)
def test_every_header_of_syslog_is_read(line: str) -> None:
    read = read_syslog(line)
    assert read is not None
    assert read[0] == "sshd"
    assert {"host": "bastion-1", "program": "sshd", "pid": "411", "user": "admin"}.items() <= read[1].items()
    assert read[1]["message"] == "Invalid user admin from 203.0.113.66"


def test_a_journal_record_reads_like_its_line() -> None:
    read = from_journal(
        {
            "MESSAGE": "Invalid user x from 203.0.113.66",
            "SYSLOG_IDENTIFIER": "sshd",
            "_HOSTNAME": "h",
            "__REALTIME_TIMESTAMP": "1",
        }
    )
    assert read is not None
    assert {"host": "h", "source_ip": "203.0.113.66", "timestamp": "1"}.items() <= read[1].items()


def test_an_unknown_program_keeps_its_message() -> None:
    assert read_syslog("Mar  3 23:42:00 h kernel: [1.0] eth0: link up") == (
        "syslog",
        {"timestamp": "Mar  3 23:42:00", "host": "h", "program": "kernel", "message": "[1.0] eth0: link up"},
    )


@pytest.mark.parametrize("piece", ["a" * 50_000, " ; " * 20_000, "[" * 50_000, "\\]" * 25_000, " from " * 10_000])
def test_long_hostile_text_is_read_in_no_time(piece: str) -> None:
    for program in ("sshd", "sudo", "su", "useradd", "CRON"):
        read_message(program, f"Failed password for {piece}")
        read_message(program, f"x : {piece}")
    read_syslog(f"<38>1 2026-03-03T23:42:00Z h sshd 1 - [{piece}")
