"""The services of the sandbox by name. Adding one is a module and a line."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.sandbox.service import Service
from aegis.sandbox.services import (
    anthropic,
    apprise,
    athena,
    attack,
    bedrock,
    budgets,
    ce,
    cloudwatch,
    datadog,
    discord,
    docker,
    email,
    freetier,
    iam,
    jira,
    kubernetes,
    openai,
    pagerduty,
    sentry,
    slack,
    sns,
    splunk,
    sts,
    teams,
    twilio,
    virustotal,
    webhook,
)

SERVICES: Mapping[str, Service] = {
    service.name: service
    for service in (
        anthropic.SERVICE,
        openai.SERVICE,
        virustotal.SERVICE,
        attack.SERVICE,
        slack.SERVICE,
        teams.SERVICE,
        discord.SERVICE,
        pagerduty.SERVICE,
        jira.SERVICE,
        datadog.SERVICE,
        splunk.SERVICE,
        sentry.SERVICE,
        twilio.SERVICE,
        email.SERVICE,
        webhook.SERVICE,
        apprise.SERVICE,
        cloudwatch.SERVICE,
        budgets.SERVICE,
        ce.SERVICE,
        sts.SERVICE,
        sns.SERVICE,
        athena.SERVICE,
        bedrock.SERVICE,
        freetier.SERVICE,
        iam.SERVICE,
        docker.SERVICE,
        kubernetes.SERVICE,
    )
}
