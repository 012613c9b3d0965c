"""What AWS services write into SNS messages: CloudWatch alarms (JSON) and notices of AWS Budgets (lines of text).

Sources: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html and
docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html; a budget's notice is the text of its e-mail.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation

from aegis.core.errors import BadInput
from aegis.core.inbound import Alert, BudgetNotice
from aegis.core.incidents import Severity
from aegis.web.inbound.signed import ID_CHARS, from_rfc3339, items, parsed_object, text, texts

VALUE_CHARS = 64
"""Of an amount or a threshold."""
LINES_MAX = 100
_LINE = re.compile(r"[ \t]*([A-Za-z ]{3,32}):[ \t]*(\S.{0,255})")
_AMOUNT = re.compile(r"\$?([0-9][0-9,]{0,15}(?:\.[0-9]{1,4})?)")


def alarm_of(message: str, at: datetime) -> Alert | None:
    """A CloudWatch alarm's change of state; None when the message is something else. `OK` ends it;
    `INSUFFICIENT_DATA` neither fires nor ends anything and is LOW.
    """
    try:
        said = parsed_object(message.encode())
    except (BadInput, UnicodeEncodeError):
        return None
    name, state = text(said, "AlarmName"), text(said, "NewStateValue")
    if not name or not state:
        return None
    changed = text(said, "StateChangeTime")
    dimensions = {text(one, "name"): text(one, "value") for one in items(said.get("Trigger"), "Dimensions")}
    return Alert(
        product="cloudwatch",
        key=(text(said, "AlarmArn") or f"{text(said, 'AWSAccountId')}:{text(said, 'Region')}:{name}")[: 2 * ID_CHARS],
        name=name,
        firing=state != "OK",
        severity=Severity.HIGH if state == "ALARM" else Severity.LOW,
        at=from_rfc3339(changed, otherwise=at),
        round=f"{changed}:{state}",
        host=dimensions.get("InstanceId", ""),
        summary=text(said, "NewStateReason"),
        description=text(said, "AlarmDescription"),
        labels={**texts(dimensions), "account": text(said, "AWSAccountId"), "region": text(said, "Region")},
    )


def budget_of(message: str, at: datetime) -> BudgetNotice | None:
    """A notice of AWS Budgets; None when the message is something else. What was spent and reached the budget is
    CRITICAL, what passed a threshold below it HIGH, a forecast MEDIUM.
    """
    found = (_LINE.fullmatch(line.rstrip()) for line in message.splitlines()[:LINES_MAX])
    rows = {row[1]: row[2] for row in found if row}
    name, kind = rows.get("Budget Name", "").strip(), rows.get("Alert Type", "").strip().upper()
    if not name or kind not in ("ACTUAL", "FORECASTED"):
        return None
    limit, spent = rows.get("Budgeted Amount", ""), rows.get(f"{kind} Amount", "")
    severity = Severity.MEDIUM
    if kind == "ACTUAL":
        over = (reached := _amount(spent)) is not None and (budget := _amount(limit)) is not None and reached >= budget
        severity = Severity.CRITICAL if over else Severity.HIGH
    threshold = rows.get("Alert Threshold", "").strip()[:VALUE_CHARS]
    return BudgetNotice(
        name=name[:ID_CHARS],
        window=f"AWS {at:%Y-%m}",
        level=f"{kind.lower()} {threshold}".strip(),
        spent=spent.strip()[:VALUE_CHARS],
        limit=limit.strip()[:VALUE_CHARS],
        severity=severity,
    )


def _amount(written: str) -> Decimal | None:
    found = _AMOUNT.match(written.strip())
    try:
        return Decimal(found[1].replace(",", "")) if found else None
    except InvalidOperation:
        return None
