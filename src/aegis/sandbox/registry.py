"""The services of the sandbox by name. Adding one is a module and a line."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.sandbox.service import Service
from aegis.sandbox.services import anthropic, jira, pagerduty, slack

SERVICES: Mapping[str, Service] = {
    module.SERVICE.name: module.SERVICE for module in (anthropic, slack, pagerduty, jira)
}
