"""The section `aws`: what is kept in step at AWS, and who is told by it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from aegis.config.sections.kinds import Address, Section, Words

Topic = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$")]


class AwsAccountSection(Section):
    """AWS Budgets and CloudWatch alarms of ours: `aegis aws budgets plan`, `aegis aws alarms plan`."""

    prefix: str = Field(default="aegis", pattern=r"^[a-z][a-z0-9]{0,31}$")
    """What the names of everything that this installation makes begin with; it touches nothing else."""
    region: str = Field(default="", pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$")
    """Where the alarms on our own metrics stand; empty: the region of the connector `cloudwatch`."""
    notify: Words = Field(default_factory=list, max_length=10)
    """Who AWS Budgets mails: addresses, contacts or roles; empty: every contact of tier `primary` with an address."""
    topics: list[Topic] = Field(default_factory=list, max_length=20)
    """SNS topics. Budgets tell the first; an alarm tells those of its own region (charges: us-east-1)."""
    cost_services: dict[str, Words] = Field(default_factory=dict)
    """Names on the AWS bill of a service, instead of ours: `bedrock: [Amazon Bedrock, Claude ... (Amazon Bedrock Edition)]`."""
    base_url: Address | None = None
    """Where a stand-in of AWS is: each service below it by its name."""
