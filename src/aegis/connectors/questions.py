"""The cheapest harmless question to each service that has one: is it there, and is our key good? For `aegis check --live`.

Nothing is posted, nothing is billed and no quota is used. A connector with a question of another kind than one HTTP
request has a `probe` of its own.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import code_word, failure, json_object
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, Probed

NOTHING_TO_ASK: Mapping[str, str] = {
    "slack": "an incoming webhook can only be posted to",
    "teams": "a Workflows address can only be posted to",
    "pagerduty": "the Events API takes only events; with rest_token the REST API is asked",
    "sentry": "a DSN can only be posted to",
    "bedrock": "its models are asked for money only",
    "athena": "its queries are paid for",
    "attack": "its catalogue is a file",
}
"""Why a service is not asked."""


QUOTA_MAX = 10**9
"""More look-ups a day than any account has: what is above it is no number of theirs."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and what its answer says in a few words. `good` raises nothing and gives "" for an answer that is no
    yes although its status is 200.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    good: Callable[[Mapping[str, Any]], str] = lambda _held: "the key is good"


def question(name: str, config: Any) -> Question | None:
    """What to ask of a service by its connector's config; None when there is nothing."""
    base = str(getattr(config, "base_url", "")).rstrip("/")
    match name:
        case "slack" if config.token:
            return Question(
                "POST", f"{base}/api/auth.test", {"Authorization": f"Bearer {config.token.reveal()}"}, _slack
            )
        case "discord":
            return Question("GET", config.webhook.reveal().partition("?")[0], {}, lambda _held: "the webhook is there")
        case "pagerduty" if getattr(config, "rest_token", None):
            token = {"Authorization": f"Token token={config.rest_token.reveal()}"}
            return Question("GET", f"{str(config.rest_url).rstrip('/')}/abilities", token)
        case "jira":
            pair = base64.b64encode(f"{config.email}:{config.token.reveal()}".encode()).decode()
            return Question("GET", f"{base}/rest/api/3/myself", {"Authorization": f"Basic {pair}"})
        case "datadog":
            return Question("GET", f"{base}/api/v1/validate", {"DD-API-KEY": config.api_key.reveal()}, _datadog)
        case "splunk":
            return Question("GET", f"{base}/services/collector/health", {}, lambda _held: "the collector is healthy")
        case "virustotal":
            key = config.api_key.reveal()
            url = f"{base}/api/v3/users/{quote(key, safe='')}/overall_quotas"
            return Question("GET", url, {"x-apikey": key}, _virustotal)
        case "anthropic":
            headers = {"x-api-key": config.key.reveal(), "anthropic-version": "2023-06-01"}
            return Question("GET", f"{base}/v1/models?limit=1", headers)
        case "openai":
            return Question("GET", f"{base}/v1/models", {"Authorization": f"Bearer {config.key.reveal()}"})
    return None


def _slack(held: Mapping[str, Any]) -> str:
    return "the token is good" if held.get("ok") is True else ""


def _datadog(held: Mapping[str, Any]) -> str:
    return "the key is good" if held.get("valid") is True else ""


def _virustotal(held: Mapping[str, Any]) -> str:
    """What is left of the day's quota."""
    found = _daily(held)
    if found is None:
        return "the key is good"
    used, allowed = found
    return f"the key is good, {max(0, allowed - used)} of {allowed} look-ups left today"


def _daily(held: Mapping[str, Any]) -> tuple[int, int] | None:
    """Used and allowed look-ups of the day, as `overall_quotas` names them; None where it does not."""
    daily = held.get("data")
    for name in ("api_requests_daily", "user"):
        daily = daily.get(name) if isinstance(daily, dict) else None
    used, allowed = (daily.get(name) if isinstance(daily, dict) else None for name in ("used", "allowed"))
    return (used, allowed) if type(used) is int and type(allowed) is int and 0 <= allowed <= QUOTA_MAX else None


async def daily_quota(config: Any, http: Http, *, clock: Clock) -> tuple[int, int] | None:
    """The look-ups that VirusTotal counted today and those that it grants a day; None when it does not say. Raises
    `ServiceError`.
    """
    asks = question("virustotal", config)
    assert asks is not None, "it has a question"
    answer = await http.send(HttpRequest(service="virustotal", method="GET", url=asks.url, headers=asks.headers))
    if answer.status != 200:
        raise failure("virustotal", answer, now=clock.now(), code=_code(answer))
    return _daily(json_object(answer) or {})


class Asks:
    """`Probe` for a service with a question in the table above."""

    def __init__(self, name: str, config: Any, http: Http, *, clock: Clock) -> None:
        self.name, self._config, self._http, self._clock = name, config, http, clock

    async def probe(self) -> Probed:
        """Ask once. Raises `ServiceError` with what is wrong."""
        asks = question(self.name, self._config)
        if asks is None:
            return Probed(asked=False, text=NOTHING_TO_ASK.get(self.name, "it has nothing that may be asked"))
        answer = await self._http.send(
            HttpRequest(service=self.name, method=asks.method, url=asks.url, headers=asks.headers)
        )
        if answer.status != 200:
            raise failure(self.name, answer, now=self._clock.now(), code=_code(answer))
        held = json_object(answer)
        said = asks.good(held) if held is not None else ""
        if not said:
            word = code_word((held or {}).get("error"))
            raise ServiceError(
                self.name, f"refused: {word or 'no reason given'}", retryable=False, billed=Billed.NO, status=200
            )
        return Probed(asked=True, text=said)


def _code(answer: HttpAnswer) -> object:
    """The vendor's word for what is wrong, wherever it stands in the usual shapes."""
    error = (json_object(answer) or {}).get("error")
    return error.get("code") or error.get("type") if isinstance(error, dict) else error
