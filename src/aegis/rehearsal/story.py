"""The recorded attack of the demo, as raw log lines with times: brute force, valid account, privilege change, data
leaving, and a stolen model key that runs up spend across midnight.

Everything is drawn from one seeded generator, so the same seed tells exactly the same story. Addresses are from the
documentation ranges of RFC 5737, names are invented.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

STARTS = datetime(2026, 3, 3, 23, 40, tzinfo=UTC)
"""Twenty minutes before the daily budget's next window opens."""

ATTACKER, KEY_THIEF, OTHER_ATTACKER, OFFICE = "203.0.113.66", "203.0.113.99", "192.0.2.44", "198.51.100.20"
ACCOUNT, OTHER_ACCOUNT = "210987654321", "310987654321"
BUCKET, OTHER_BUCKET, STOLEN_KEY = "acme-customer-exports", "acme-billing-archive", "key_ci_build"

Kind = Literal["chapter", "log", "record", "spend", "answer", "stop_key", "stop", "return"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of the story: what kind, when (UTC), and its text: a chapter's title, a raw log line, a JSON record,
    the number of calls that a key tries, the key or the team that a person stops, or why it may return.
    """

    at: datetime
    kind: Kind
    text: str
    source: str = ""


def story(seed: int) -> list[Step]:
    """The whole story in order of time."""
    teller = _Teller(random.Random(seed))
    steps = [*teller.background()]
    chapters = (
        teller.scan,
        teller.brute_force,
        teller.privilege,
        teller.data_leaves,
        teller.answer,
        teller.stolen_key,
        teller.morning,
        teller.runaway,
    )
    for chapter in chapters:
        steps.extend(chapter())
    return sorted(steps, key=lambda step: step.at)


def _at(minutes: int, seconds: int = 0) -> datetime:
    return STARTS + timedelta(minutes=minutes, seconds=seconds)


class _Teller:
    """Tells each chapter with the same generator."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def background(self) -> Iterator[Step]:
        """People at work: logins with keys, page views, reads in the cloud account."""
        for _ in range(24):
            at = _at(self.chance.randrange(24), self.chance.randrange(60))
            user = self.chance.choice(["alice", "bram", "chidi"])
            yield _sshd(at, f"Accepted publickey for {user} from {OFFICE} port {self._port()} ssh2", self._pid())
        for _ in range(40):
            at = _at(self.chance.randrange(24), self.chance.randrange(60))
            yield _web(at, OFFICE, "GET", self.chance.choice(["/", "/pricing", "/docs", "/login"]), 200)
        for _ in range(20):
            at = _at(self.chance.randrange(24), self.chance.randrange(60))
            yield self._cloudtrail(at, "ec2.amazonaws.com", "DescribeInstances", OFFICE, "alice", {})
        yield _web(_at(1), "198.51.100.77", "GET", "/?q=1", 404, agent="Nikto/2.5.0")
        no_second_factor = {"ConsoleLogin": "Success"}, {"MFAUsed": "No", "LoginTo": "https://console.aws.amazon.com/"}
        yield self._sign_in(_at(6), *no_second_factor)
        for _ in range(8):
            at = _at(self.chance.randrange(24), self.chance.randrange(60))
            yield _model_use(at, key="key_support_bot", source_ip=OFFICE, country="NL", requests=3, output_tokens=900)

    def _sign_in(self, at: datetime, answer: dict[str, str], more: dict[str, str]) -> Step:
        """A person's sign-in to the cloud console, without a second factor."""
        step = self._cloudtrail(at, "signin.amazonaws.com", "ConsoleLogin", OFFICE, "bram", {})
        record = {**json.loads(step.text), "responseElements": answer, "additionalEventData": more}
        return Step(at, "record", json.dumps(record), step.source)

    def scan(self) -> Iterator[Step]:
        yield Step(_at(0, 5), "chapter", "A scanner looks for a way in")
        paths = [
            "/.env",
            "/wp-login.php",
            "/.git/config",
            "/admin/../../../../etc/passwd",
            "/phpmyadmin/",
            "/actuator/env",
        ]
        for number, path in enumerate(paths):
            yield _web(_at(0, 10 + number), ATTACKER, "GET", path, 404, agent="sqlmap/1.8")

    def brute_force(self) -> Iterator[Step]:
        yield Step(_at(1, 30), "chapter", "Passwords are tried until one fits")
        names = ["root", "admin", "deploy", "postgres", "ubuntu"]
        for number in range(36):
            at = _at(2, number * 2)
            name = self.chance.choice(names)
            yield _sshd(at, f"Failed password for {name} from {ATTACKER} port {self._port()} ssh2", self._pid())
        yield _sshd(_at(3, 20), f"Accepted password for deploy from {ATTACKER} port {self._port()} ssh2", self._pid())

    def privilege(self) -> Iterator[Step]:
        yield Step(_at(4), "chapter", "The account takes more rights")
        yield _auth(_at(4, 10), "sudo", "  deploy : TTY=pts/3 ; PWD=/home/deploy ; USER=root ; COMMAND=/bin/bash")
        yield _auth(_at(4, 40), "useradd[4411]", "new user: name=svc-backup, UID=0, GID=0, home=/root, shell=/bin/bash")
        policy = "arn:aws:iam::aws:policy/AdministratorAccess"
        attach = {"userName": "deploy", "policyArn": policy}
        yield self._cloudtrail(_at(5), "iam.amazonaws.com", "AttachUserPolicy", ATTACKER, "deploy", attach)
        yield self._cloudtrail(
            _at(5, 20), "iam.amazonaws.com", "CreateAccessKey", ATTACKER, "deploy", {"userName": "alice"}
        )
        trail = {"name": "org-trail"}
        yield self._cloudtrail(_at(5, 50), "cloudtrail.amazonaws.com", "StopLogging", ATTACKER, "deploy", trail)

    def data_leaves(self) -> Iterator[Step]:
        yield Step(_at(7), "chapter", "Data leaves")
        public = {"bucketName": BUCKET, "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*"}]}}
        yield self._cloudtrail(_at(7, 10), "s3.amazonaws.com", "PutBucketPolicy", ATTACKER, "deploy", public)
        for number in range(60):
            key = {"bucketName": BUCKET, "key": f"customers/{number:04d}.parquet"}
            yield self._cloudtrail(_at(7, 20 + number), "s3.amazonaws.com", "GetObject", ATTACKER, "deploy", key)
        share = {
            "snapshotId": "snap-0a1b2c3d4e5f60718",
            "createVolumePermission": {"add": {"items": [{"group": "all"}]}},
        }
        yield self._cloudtrail(_at(8, 40), "ec2.amazonaws.com", "ModifySnapshotAttribute", ATTACKER, "deploy", share)

    def answer(self) -> Iterator[Step]:
        """The person on call takes the page on, where they read it."""
        yield Step(_at(9), "chapter", "Somebody on call answers the page in Slack")
        yield Step(_at(9, 10), "answer", "grace")

    def stolen_key(self) -> Iterator[Step]:
        yield Step(_at(10), "chapter", "A stolen model key runs up spend")
        for number in range(10):
            at = _at(10, 10 + number * 20)
            tokens = 18_000 + self.chance.randrange(9_000)
            yield _model_use(at, key=STOLEN_KEY, source_ip=KEY_THIEF, country="ZZ", requests=140, output_tokens=tokens)
            yield Step(at + timedelta(seconds=2), "spend", "10", STOLEN_KEY)
        public = {"bucketName": OTHER_BUCKET, "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*"}]}}
        yield self._cloudtrail(
            _at(15), "s3.amazonaws.com", "PutBucketPolicy", OTHER_ATTACKER, "ci-runner", public, account=OTHER_ACCOUNT
        )

    def morning(self) -> Iterator[Step]:
        yield Step(_at(17), "chapter", "Somebody stops the key")
        yield Step(_at(17, 5), "stop_key", STOLEN_KEY)
        yield Step(_at(17, 20), "spend", "3", STOLEN_KEY)
        yield Step(_at(20, 30), "chapter", "A new day: the budget has room again, and so has the analyst")
        grant = {"userName": "contractor", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
        yield self._cloudtrail(
            _at(21), "iam.amazonaws.com", "AttachUserPolicy", "192.0.2.80", "breakglass", grant, account="410987654321"
        )
        for number in range(30):
            name = self.chance.choice(["root", "oracle", "git"])
            text = f"Failed password for invalid user {name} from 192.0.2.91 port {self._port()} ssh2"
            yield _auth(_at(22, number), f"sshd[{self._pid()}]", text, host="build-7")

    def runaway(self) -> Iterator[Step]:
        """The emergency stop of a team, and its return."""
        yield Step(_at(24), "chapter", "A program of the same team runs away: everything of the team is stopped")
        yield Step(_at(24, 5), "spend", "8", "importer")
        yield Step(_at(24, 15), "stop", "platform", "a loop in the importer")
        yield Step(_at(25), "spend", "5", "importer")
        yield Step(_at(26), "chapter", "The loop is mended: 10, 50, then 100 % of the calls come back")
        yield Step(_at(26, 5), "return", "a loop in the importer, mended")
        yield Step(_at(45), "chapter", "Quiet again")

    def _port(self) -> int:
        return self.chance.randrange(32768, 60999)

    def _pid(self) -> int:
        return self.chance.randrange(2000, 32000)

    def _cloudtrail(
        self,
        at: datetime,
        service: str,
        name: str,
        address: str,
        user: str,
        parameters: dict[str, Any],
        *,
        account: str = ACCOUNT,
    ) -> Step:
        identity = {
            "type": "IAMUser",
            "userName": user,
            "accountId": account,
            "arn": f"arn:aws:iam::{account}:user/{user}",
        }
        record = {
            "eventVersion": "1.09",
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": service,
            "eventName": name,
            "awsRegion": "eu-west-1",
            "sourceIPAddress": address,
            "userAgent": "aws-cli/2.17.0",
            "userIdentity": identity,
            "requestParameters": parameters,
            "eventID": f"{self.chance.getrandbits(128):032x}",
            "recipientAccountId": account,
        }
        return Step(at, "record", json.dumps(record), "cloudtrail")


def _auth(at: datetime, program: str, text: str, *, host: str = "bastion-1") -> Step:
    return Step(at, "log", f"{at:%b} {at.day:2d} {at:%H:%M:%S} {host} {program}: {text}", "auth.log")


def _sshd(at: datetime, text: str, pid: int) -> Step:
    return _auth(at, f"sshd[{pid}]", text)


def _web(at: datetime, address: str, method: str, path: str, status: int, *, agent: str = "Mozilla/5.0") -> Step:
    line = f'{address} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "{method} {path} HTTP/1.1" {status} 512 "-" "{agent}"'
    return Step(at, "log", line, "access.log")


def _model_use(at: datetime, *, key: str, source_ip: str, country: str, requests: int, output_tokens: int) -> Step:
    record = {
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kind": "model_usage",
        "key_id": key,
        "team": "platform",
        "model": "claude-sonnet-5-5",
        "source_ip": source_ip,
        "country": country,
        "requests": requests,
        "input_tokens": output_tokens * 6,
        "output_tokens": output_tokens,
        "outcome": "success",
        "user_agent": "python-requests/2.32",
    }
    return Step(at, "record", json.dumps(record), "model_usage")
