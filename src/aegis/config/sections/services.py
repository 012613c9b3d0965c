"""`services`: the metered services that the governor watches over, and how each is reached."""

from __future__ import annotations

from pydantic import Field

from aegis.config.sections.kinds import Address, Duration, DurationOrOff, Money, RateText, SecretRef, Section, written


class BreakerSection(Section):
    """When calls to a failing or runaway service stop, and for how long."""

    failures: int = Field(default=5, ge=1, le=1_000)
    """Failures in a row that open it."""
    recovery: Duration = written("60s")
    """How long it stays open before one call may try."""
    failure_percent: int = Field(default=50, ge=1, le=100)
    """It opens too when this share of `volume` calls within `span` failed."""
    volume: int = Field(default=20, ge=1, le=1_000)
    """How many calls the share is taken of."""
    span: Duration = written("60s")
    """How far back those calls may lie."""
    cost: Money | None = written("10.00")
    """Dollars within `cost_span` above which it opens; null: however much."""
    cost_span: Duration = written("1h")
    """How far back that cost is summed."""


class ServiceSection(Section):
    """One metered service."""

    key: SecretRef | None = None
    """Reference to the API key."""
    base_url: Address | None = None
    """Where it is reached instead of the vendor's address."""
    allow_private: bool = False
    """It stands on a private address."""
    rate: RateText | None = None
    """How many calls in how much time."""
    breaker: BreakerSection = Field(default_factory=BreakerSection)
    cache: DurationOrOff = written("5m")
    """How long an answer may be used again."""
    queue: int = Field(default=1_000, ge=1, le=100_000)
    """How many calls may wait their turn."""


class ModelsSection(Section):
    """Which model does what."""

    triage: str | None = None
    """Stands in for the other two, where their budget is used up."""
    analysis: str | None = None
    """Explains HIGH incidents."""
    deep: str | None = None
    """Explains CRITICAL incidents."""


class ModelServiceSection(ServiceSection):
    """A model provider."""

    models: ModelsSection = Field(default_factory=ModelsSection)
    admin_key: SecretRef | None = None
    """Reference to the key that may read the provider's own bill."""


class AnthropicModelsSection(ModelsSection):
    """Which Claude does what; one that is set to nothing is not asked."""

    triage: str | None = "claude-haiku-5-5"
    analysis: str | None = "claude-sonnet-5-5"
    deep: str | None = "claude-opus-5-5"


class AnthropicSection(ModelServiceSection):
    """Claude."""

    base_url: Address | None = written("https://api.anthropic.com")
    rate: RateText | None = written("10/minute")
    models: AnthropicModelsSection = Field(default_factory=AnthropicModelsSection)


class OpenAISection(ModelServiceSection):
    """OpenAI."""

    base_url: Address | None = written("https://api.openai.com")


class AwsSection(ServiceSection):
    """An AWS service; credentials are found as the AWS tools find them."""

    region: str | None = None
    """The region that is asked."""
    profile: str | None = None
    """The profile in the AWS tools' own files."""


class BedrockSection(AwsSection):
    """Models at AWS Bedrock."""

    models: ModelsSection = Field(default_factory=ModelsSection)


class AthenaSection(AwsSection):
    """Queries at AWS Athena."""

    workgroup: str | None = None
    """The workgroup that queries run in."""


class VirusTotalSection(ServiceSection):
    """What VirusTotal says about public addresses, domains, URLs and hashes."""

    base_url: Address | None = written("https://www.virustotal.com")
    rate: RateText | None = written("4/minute")


class ServicesSection(Section):
    """Every metered service by name."""

    anthropic: AnthropicSection = Field(default_factory=AnthropicSection)
    openai: OpenAISection = Field(default_factory=OpenAISection)
    bedrock: BedrockSection = Field(default_factory=BedrockSection)
    athena: AthenaSection = Field(default_factory=AthenaSection)
    virustotal: VirusTotalSection = Field(default_factory=VirusTotalSection)
    twilio: ServiceSection = Field(default_factory=ServiceSection)
    cloudwatch: AwsSection = Field(default_factory=AwsSection)
