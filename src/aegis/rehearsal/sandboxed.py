"""A configuration whose every service is the sandbox: for the demo, and for `--sandbox` on a person's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from aegis.config.load import load
from aegis.config.reach import Reach
from aegis.config.settings import Config, Service, Upstream
from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.sandbox.server import Serving
from aegis.sandbox.services.webhook import SECRET

_KEYS: Mapping[str, str] = {
    "SANDBOX_KEY": "sandbox-key",
    "SANDBOX_ADMIN": "sk-ant-admin-sandbox",
    "SANDBOX_AWS": "sandbox:sandbox",
    "SANDBOX_ROUTING_KEY": "5a" * 16,
    "SANDBOX_SLACK": "xoxb-sandbox",
    "SANDBOX_SLACK_SIGNING": "sandbox-signing-secret",
}
"""What the sandbox's services are given as keys. No real key is ever read."""
BEDROCK_REGION = "us-east-1"
"""A signature names a region; the sandbox stands in any."""

_SERVICES = """\
services:
  anthropic:
    {{key: env:SANDBOX_KEY, base_url: "{anthropic}", rate: 60/minute, models: {{triage: null}}}}
  virustotal: {{key: env:SANDBOX_KEY, base_url: "{virustotal}", rate: 4/minute}}
connectors:
  pagerduty: {{routing_key: env:SANDBOX_ROUTING_KEY, base_url: "{pagerduty}"}}
  slack: {{token: env:SANDBOX_SLACK, channel: "#incidents", base_url: "{slack}"}}
  teams: {{webhook: env:SANDBOX_TEAMS}}
  discord: {{webhook: env:SANDBOX_DISCORD}}
  jira: {{base_url: "{jira}", email: aegis@example.com, token: env:SANDBOX_KEY, project: SEC}}
  datadog: {{api_key: env:SANDBOX_KEY, base_url: "{datadog}"}}
  splunk: {{base_url: "{splunk}", token: env:SANDBOX_KEY}}
  sentry: {{dsn: env:SANDBOX_SENTRY}}
"""

_MORE: Mapping[str, str] = {
    "email": """\
  email: {{host: 127.0.0.1, port: {mail_port}, security: none, sender: aegis@example.com, to: soc@example.com}}
""",
    "twilio": """\
  twilio:
    {{account: AC00000000000000000000000000000000, token: env:SANDBOX_KEY, sender: "+15005550006",
     sms_to: "+15005550001", call_to: "+15005550001", base_url: "{twilio}"}}
""",
    "webhook": """\
  webhook: {{webhook: env:SANDBOX_WEBHOOK, secret: env:SANDBOX_SIGNING}}
""",
}
"""Connectors that a rehearsal has only when it is asked for them: not everybody is told by mail."""


def sandbox_config(serving: Serving, *, more: str = "", extra: Collection[str] = ()) -> Config:
    """The configuration of an Aegis that knows only the sandbox. `more` is YAML put in front of the services; `extra`
    names the connectors that not every rehearsal has (`email`, `twilio`, `webhook`).
    """
    text = _SERVICES + "".join(lines for name, lines in _MORE.items() if name in extra)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "aegis.yaml"
        file.write_text(more + text.format(**serving.addresses(), mail_port=serving.mail_port), encoding="utf-8")
        return load(file, {})


def sandboxed(config: Config, serving: Serving) -> Config:
    """A person's own configuration, with the sandbox in the place of every outside service."""
    stand_in = sandbox_config(serving, extra=config.connectors)
    config = with_gateway(config, serving)
    # A rehearsal reaches nothing real: no container, no cluster, no vendor's key.
    emergency = replace(config.emergency, reach=Reach())
    config = replace(config, emergency=emergency)
    services = {name: _administered(one, config.services.get(name), serving) for name, one in stand_in.services.items()}
    aws = replace(config.aws, base_url=serving.url)
    return replace(config, services=services, connectors=stand_in.connectors, aws=aws)


def _administered(stand_in: Service, own: Service | None, serving: Serving) -> Service:
    """The sandbox's service; it tells its bill where the person's own would."""
    if own is None or own.admin_key is None:
        return stand_in
    return replace(stand_in, admin_key=Reference("env", "SANDBOX_ADMIN"), base_url=f"{serving.url}/{stand_in.name}")


def with_gateway(config: Config, serving: Serving) -> Config:
    """The same with a gateway before the sandbox."""
    return replace(config, gateway=replace(config.gateway, upstreams=_upstreams(serving)))


def _upstreams(serving: Serving) -> tuple[Upstream, ...]:
    """The gateway's vendors, which are the sandbox as well: nothing of a rehearsal may reach a real one."""
    at, key = serving.addresses(), Reference("env", "SANDBOX_KEY")
    claude = Upstream(
        name="anthropic",
        kind="anthropic",
        base_url=at["anthropic"],
        key=key,
        auth="x-api-key",
        service="anthropic",
        vendor=True,
    )
    gpt = replace(claude, name="openai", kind="openai", base_url=at["openai"], auth="bearer", service="openai")
    aws = Upstream(
        name="bedrock",
        kind="bedrock",
        base_url=at["bedrock"],
        key=Reference("env", "SANDBOX_AWS"),
        auth="sigv4",
        service="bedrock",
        vendor=True,
        region=BEDROCK_REGION,
    )
    return claude, gpt, aws


def sandbox_secrets(serving: Serving) -> Mapping[str, Secret]:
    """The made-up keys and addresses that the configuration refers to, by name."""
    addresses = serving.addresses()
    keys = {
        **_KEYS,
        "SANDBOX_TEAMS": f"{addresses['teams']}/workflows/demo",
        "SANDBOX_DISCORD": f"{addresses['discord']}/api/webhooks/100000000000000001/sandbox-token",
        "SANDBOX_SENTRY": serving.sentry_dsn(),
        "SANDBOX_WEBHOOK": f"{addresses['webhook']}/hooks/sandbox",
        "SANDBOX_SIGNING": SECRET,
    }
    return {name: Secret(value) for name, value in keys.items()}


class SandboxKeys:
    """Resolves the references of a sandboxed configuration, and refuses every other one."""

    def __init__(self, serving: Serving) -> None:
        self._keys = sandbox_secrets(serving)

    def __call__(self, reference: Reference) -> Secret:
        if reference.kind != "env" or reference.name not in self._keys:
            raise ConfigError(f"{reference} is not one of the sandbox's own keys; a rehearsal reads no other")
        return self._keys[reference.name]
