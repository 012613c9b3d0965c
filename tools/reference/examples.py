"""Examples that the schema does not know of itself: of single keys, by their path, and of whole sections."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final = {
    "server.public_url": "public_url: https://aegis.example.com",
    "budgets.NAME.scope": "scope: {service: athena}",
    "budgets.NAME.meter": "meter: bytes_scanned",
    "budgets.NAME.reserve": "reserve: {CRITICAL: 30%, HIGH: 20%}",
    "budgets.NAME.timezone": "timezone: Europe/Berlin",
    "budgets.NAME.daily.emergency": "emergency: 10.00",
    "actions.warning": "warning: [log, email]",
    "actions.critical": "critical: [log, email, sms, reduce_limits]",
    "actions.emergency": "emergency: [shutdown, disable_keys, alert_all]",
    "services.NAME.key": "key: env:ANTHROPIC_API_KEY",
    "services.NAME.base_url": "base_url: https://llm-proxy.example.com",
    "services.anthropic.admin_key": "admin_key: secret:anthropic-admin",
    "services.openai.admin_key": "admin_key: secret:openai-admin",
    "services.openai.models.triage": "triage: gpt-6-luna",
    "services.openai.models.analysis": "analysis: gpt-6-luna",
    "services.openai.models.deep": "deep: gpt-6-luna",
    "services.athena.workgroup": "workgroup: security",
    "services.cloudwatch.region": "region: eu-west-1",
    "services.cloudwatch.profile": "profile: aegis",
    "gateway.fallback": "fallback: {claude-opus-*: [claude-haiku-4-5]}",
    "gateway.upstreams.NAME.base_url": "base_url: https://example.openai.azure.com/openai",
    "gateway.upstreams.NAME.key": "key: env:OPENAI_API_KEY",
    "gateway.upstreams.NAME.region": "region: eu-west-1",
    "gateway.upstreams.NAME.api_version": "api_version: 2024-10-21",
    "gateway.upstreams.NAME.service": "service: openai",
    "gateway.upstreams.NAME.models": "models: [gpt-*]",
    "gateway.upstreams.NAME.allow_fields": "allow_fields: [top_k]",
    "connectors.slack.token": "token: env:SLACK_BOT_TOKEN",
    "connectors.slack.webhook": "webhook: secret:slack-webhook",
    "connectors.slack.channel": 'channel: "#incidents"',
    "connectors.teams.webhook": "webhook: secret:teams-workflow",
    "connectors.discord.webhook": "webhook: secret:discord-webhook",
    "connectors.pagerduty.routing_key": "routing_key: env:PAGERDUTY_ROUTING_KEY",
    "connectors.pagerduty.rest_token": "rest_token: secret:pagerduty-rest",
    "connectors.pagerduty.rest_from": "rest_from: aegis@example.com",
    "connectors.jira.base_url": "base_url: https://example.atlassian.net",
    "connectors.jira.email": "email: soc@example.com",
    "connectors.jira.token": "token: env:JIRA_API_TOKEN",
    "connectors.jira.project": "project: SEC",
    "connectors.jira.due_hours": "due_hours: 720, 168, 48, 24",
    "connectors.jira.ca_file": "ca_file: /etc/aegis/authority.pem",
    "connectors.datadog.api_key": "api_key: env:DD_API_KEY",
    "connectors.datadog.events_url": "events_url: https://event-management-intake.datadoghq.eu",
    "connectors.splunk.base_url": "base_url: https://splunk.example.com:8088",
    "connectors.splunk.token": "token: env:SPLUNK_HEC_TOKEN",
    "connectors.splunk.index": "index: security",
    "connectors.splunk.ca_file": "ca_file: /etc/aegis/authority.pem",
    "connectors.sentry.dsn": "dsn: env:SENTRY_DSN",
    "connectors.sentry.ca_file": "ca_file: /etc/aegis/authority.pem",
    "connectors.email.host": "host: smtp.example.com",
    "connectors.email.port": "port: 587",
    "connectors.email.sender": "sender: aegis@example.com",
    "connectors.email.to": "to: [soc@example.com]",
    "connectors.email.user": "user: aegis",
    "connectors.email.password": "password: secret:smtp",
    "connectors.email.ca_file": "ca_file: /etc/aegis/authority.pem",
    "connectors.twilio.account": "account: AC00000000000000000000000000000000",
    "connectors.twilio.token": "token: secret:twilio",
    "connectors.twilio.sender": 'sender: "+14155550100"',
    "connectors.twilio.api_key": "api_key: SK00000000000000000000000000000000",
    "connectors.twilio.caller": 'caller: "+14155550100"',
    "connectors.twilio.sms_to": 'sms_to: ["+14155550101"]',
    "connectors.twilio.call_to": 'call_to: ["+14155550101"]',
    "connectors.cloudwatch.region": "region: eu-west-1",
    "connectors.cloudwatch.base_url": "base_url: https://monitoring.eu-west-1.amazonaws.com",
    "connectors.webhook.webhook": "webhook: secret:hook-address",
    "connectors.webhook.secret": "secret: secret:hook-signing",
    "connectors.webhook.old_secret": "old_secret: secret:hook-signing-before",
    "connectors.webhook.ca_file": "ca_file: /etc/aegis/authority.pem",
    "connectors.apprise.urls": "urls: secret:apprise",
    "connectors.attack.catalogue": "catalogue: /srv/enterprise-attack.json",
    "fallback": "fallback: {pagerduty: [email, slack]}",
    "routes[].to": "to: [pagerduty]",
    "routes[].when.severity": "severity: [HIGH, CRITICAL]",
    "routes[].when.service": "service: [sshd]",
    "routes[].when.tag": "tag: [attack.t1110]",
    "routes[].when.kind": "kind: [spend]",
    "routes[].when.team": "team: [payments]",
    "routes[].when.time": 'time: ["daily 20:00-08:00 Europe/Berlin"]',
    "inbound.pagerduty.secret": "secret: secret:pagerduty-webhook",
    "inbound.pagerduty.previous": "previous: secret:pagerduty-webhook-before",
    "inbound.jira.account": "account: 5b10ac8d82e05b22cc7d4ef5",
    "inbound.sns.topics": 'topics: ["arn:aws:sns:us-east-1:123456789012:budgets"]',
    "inbound.github.secret": "secret: env:GITHUB_WEBHOOK_SECRET",
    "inbound.github.previous": "previous: secret:github-before",
    "contacts.NAME.title": "title: Team Lead",
    "contacts.NAME.email": "email: team-lead@example.com",
    "contacts.NAME.slack": "slack: U024BE7LH",
    "contacts.NAME.pagerduty": "pagerduty: secret:lead-pager",
    "contacts.NAME.webhook": "webhook: secret:lead-hook",
    "contacts.NAME.webhook_secret": "webhook_secret: secret:lead-hook-signing",
    "contacts.NAME.roles": "roles: [lead]",
    "contacts.NAME.teams": "teams: [payments]",
    "contacts.NAME.quiet": 'quiet: ["daily 22:00-07:00 Europe/Berlin"]',
    "contacts.NAME.stand_in": "stand_in: oncall-engineer",
    "rotations.NAME.contacts": "contacts: [devops, oncall-engineer]",
    "rotations.NAME.begins": "begins: 2026-01-05",
    "rotations.NAME.zone": "zone: Europe/Berlin",
    "rotations.NAME.overrides[].contact": "contact: cto",
    "rotations.NAME.overrides[].since": "since: 2026-12-24T09:00:00+01:00",
    "rotations.NAME.overrides[].until": "until: 2026-12-27T09:00:00+01:00",
    "escalation.bridge": "bridge: +1-555-0199",
    "escalation.chains[].name": "name: nights",
    "escalation.chains[].again": "again: 2",
    "escalation.chains[].steps[].to": "to: [oncall]",
    "escalation.chains[].steps[].by": "by: [sms, phone]",
    "inhibitions[].name": "name: network-down",
    "inhibitions[].source": 'source: ["rule=core-switch-down"]',
    "inhibitions[].target": 'target: ["severity!=CRITICAL"]',
    "inhibitions[].equal": "equal: [host]",
    "heartbeat.url": "url: env:HEARTBEAT_URL",
    "emergency.preauthorised": 'preauthorised: [docker, "anthropic-keys:apikey_01"]',
    "emergency.kubernetes.namespaces": "namespaces: [workers]",
    "emergency.kubernetes.delete_pods": "delete_pods: cost-tier=high",
    "emergency.kubernetes.server": "server: https://10.0.0.1:6443",
    "emergency.kubernetes.token": "token: file:/run/secrets/cluster-token",
    "emergency.kubernetes.ca": "ca: /etc/aegis/cluster.pem",
    "emergency.kubernetes.kubeconfig": "kubeconfig: ~/.kube/config",
    "emergency.credentials.anthropic.ids": "ids: [apikey_01]",
    "emergency.credentials.anthropic.admin_key": "admin_key: secret:anthropic-admin",
    "emergency.credentials.anthropic.base_url": "base_url: https://api.anthropic.com",
    "emergency.credentials.anthropic.scopes": "scopes: {apikey_01: {team: build}}",
    "emergency.credentials.aws_keys.ids": "ids: [build/AKIA0000000000000000]",
    "emergency.credentials.aws_keys.region": "region: eu-west-1",
    "emergency.credentials.aws_keys.base_url": "base_url: https://iam.amazonaws.com",
    "emergency.credentials.aws_keys.scopes": "scopes: {build/AKIA0000000000000000: {team: build}}",
    "anomalies.detectors": "detectors: [mad, burn]",
    "backup.passphrase": "passphrase: env:AEGIS_BACKUP_PASSPHRASE",
    "backup.to": "to: /mnt/backups",
    "audit.file": "file: /var/log/aegis/audit.jsonl",
    "reports.weekly.to": "to: [finance@example.com]",
    "telemetry.otlp.endpoint": "endpoint: https://collector.example.com:4318",
    "telemetry.otlp.headers": "headers: {authorization: env:OTLP_TOKEN}",
    "accounts.two_people_above_usd": "two_people_above_usd: 500",
    "accounts.proxy.addresses": "addresses: [10.0.0.7]",
    "accounts.proxy.default": "default: viewer",
    "accounts.oidc.default": "default: viewer",
    "rotations.NAME.at": 'at: "09:00"',
    "accounts.proxy.roles": "roles: {soc: operator}",
    "accounts.oidc.issuer": "issuer: https://login.example.com/realms/main",
    "accounts.oidc.client_id": "client_id: aegis",
    "accounts.oidc.client_secret": "client_secret: secret:oidc",
    "accounts.oidc.scopes": "scopes: [profile, email, groups]",
    "accounts.oidc.roles": "roles: {soc: operator}",
    "detection.rules": "rules: [/etc/aegis/rules]",
    "detection.off": "off: [98c52e8a-6aed-4134-9a6a-2211a29f0894]",
    "detection.stop_list": "stop_list: [10.0.0.1, jump-1]",
    "prices.NAME.since": "since: 2026-11-01",
    "secrets.key_file": "key_file: /etc/aegis/secrets.key",
    "secrets.passphrase": "passphrase: env:AEGIS_PASSPHRASE",
}
"""Lines as they would stand in the file."""

SECTIONS: Final = {
    "server": "server: {listen: 127.0.0.1:8787, public_url: https://aegis.example.com}",
    "store": "store: {url: sqlite:aegis.db}",
    "budgets": """
budgets:
  everything:
    scope: all
    daily: {warning: 5.00, critical: 80%, emergency: 10.00}
    monthly: {emergency: 100.00}
  analysis:
    scope: {purpose: incident}
    daily: {emergency: 5.00}
    reserve: {CRITICAL: 30%, HIGH: 20%}
  athena-scan:
    scope: {service: athena}
    meter: bytes_scanned
    monthly: {emergency: 10TB}
    throttle: {light: 60%, moderate: 75%, heavy: 85%, block: 95%}
""",
    "budget_thresholds": "budget_thresholds: {daily: {warning: 5.00, critical: 8.00, emergency: 10.00}}",
    "actions": "actions: {warning: [log], critical: [log, reduce_limits], emergency: [log, shutdown]}",
    "services": """
services:
  anthropic: {key: env:ANTHROPIC_API_KEY, rate: 10/minute, breaker: {failures: 5, recovery: 60s, cost: 10.00}}
  virustotal: {key: env:VIRUSTOTAL_API_KEY}
""",
    "gateway": """
gateway:
  upstreams:
    anthropic: {key: env:ANTHROPIC_API_KEY}
    openai: {key: env:OPENAI_API_KEY}
""",
    "connectors": """
connectors:
  slack: {token: env:SLACK_BOT_TOKEN, channel: "#incidents"}
  pagerduty: {routing_key: env:PAGERDUTY_ROUTING_KEY}
""",
    "routes": "routes: [{when: {severity: [MEDIUM], tag: [attack.t1110]}, to: [pagerduty]}]",
    "fallback": "fallback: {pagerduty: [email, slack]}",
    "inbound": "inbound: {slack: {secret: env:SLACK_SIGNING_SECRET}}",
    "contacts": """
contacts:
  team-lead: {email: team-lead@example.com, phone: +1-555-0101, roles: [lead], quiet: "daily 22:00-07:00 UTC"}
""",
    "rotations": """
contacts:
  devops: {email: devops@example.com}
  oncall-engineer: {email: oncall@example.com}
rotations:
  soc: {contacts: [devops, oncall-engineer], begins: 2026-01-05, at: "09:00", zone: Europe/Berlin}
""",
    "teams": 'teams: {payments: ["host=pay-*"]}',
    "escalation": """
contacts:
  devops: {email: devops@example.com, phone: +1-555-0103}
escalation:
  bridge: +1-555-0199
  chains:
    - name: nights
      when: {severity: [HIGH, CRITICAL], time: "daily 20:00-08:00 Europe/Berlin"}
      steps: [{to: devops, by: [sms, phone], wait: 10m}]
""",
    "inhibitions": """
inhibitions:
  - {name: network-down, source: "rule=core-switch-down", target: "severity!=CRITICAL", equal: [host]}
""",
    "heartbeat": "heartbeat: {url: env:HEARTBEAT_URL, every: 60s, grace: 30s}",
    "emergency": """
emergency:
  preauthorised: [docker]
  docker: {label: aegis.managed=true, how: pause}
""",
    "anomalies": "anomalies: {at_least_usd: 2.00}",
    "backup": "backup: {every: 24h, keep: 14, to: /mnt/backups, passphrase: env:AEGIS_BACKUP_PASSPHRASE}",
    "reports": 'reports: {weekly: {day: monday, at: "07:00", zone: Europe/Berlin, to: [finance@example.com]}}',
    "telemetry": "telemetry: {otlp: {endpoint: https://collector.example.com:4318}}",
    "audit": "audit: {file: /var/log/aegis/audit.jsonl}",
    "accounts": "accounts: {session: 8h, two_people_above_usd: 500}",
    "detection": "detection: {rules: [/etc/aegis/rules], stop_list: [10.0.0.1, svc-backup]}",
    "privacy": "privacy: {pseudonyms: {user: true}}",
    "retention": "retention: {events: 14d, incidents: 730d}",
    "prices": "prices: {anthropic/claude-sonnet-5-5: {input_tokens: 3.00, output_tokens: 15.00, since: 2026-11-01}}",
    "secrets": "secrets: {key_file: /etc/aegis/secrets.key}",
    "sandbox": "sandbox: {listen: 127.0.0.1:8788, seed: 7}",
}
"""A section as it may stand in the file; a test loads each of them."""
