"""STS, which says who is asking: the same answer as at the CloudWatch of the sandbox."""

from __future__ import annotations

from aegis.sandbox.service import Service
from aegis.sandbox.services import cloudwatch

SERVICE = Service(name="sts", answer=cloudwatch.answer, failure=cloudwatch.failure)
