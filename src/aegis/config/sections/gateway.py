"""`gateway`: the vendors that programs reach through Aegis, and what is put into requests that say nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis.config.sections.kinds import Address, SecretRef, Section, Words


class UpstreamSection(Section):
    """One vendor or server. Those named `anthropic` and `openai` need nothing but a key, `bedrock` a region as well."""

    kind: Literal["anthropic", "openai", "bedrock"] | None = None
    """Which API it speaks; by its name where that is one of the three."""
    base_url: Address | None = None
    """Its address, without /v1; the vendor's own where the name says which."""
    key: SecretRef | None = None
    """Reference to its key. Programs never see it."""
    auth: Literal["x-api-key", "bearer", "api-key", "sigv4"] | None = None
    """The header that its key goes into (`api-key` for Azure); the kind's own where nothing is said. `sigv4` signs with
    ACCESS_KEY_ID:SECRET_ACCESS_KEY, `bearer` sends a Bedrock API key.
    """
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    """Where Bedrock is asked (eu-west-1)."""
    api_version: str | None = Field(default=None, pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?$")
    """For Azure's dated API (2024-10-21), whose deployments are named as their models; without it Azure is asked as
    OpenAI is, at https://NAME.openai.azure.com/openai.
    """
    service: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    """Under which name it is priced and budgeted; its own name where nothing is said."""
    models: Words = Field(default_factory=list)
    """Patterns of the models it is asked for (`llama-*`); the kind's default upstream takes the rest."""
    allow_fields: Words = Field(default_factory=list)
    """Fields of a request that pass although Aegis does not know whether they raise the cost (top_k for vLLM)."""
    allow_private: bool = False
    """It stands on a private address."""
    responses: bool = True
    """Whether it has /v1/responses; where an OpenAI-compatible server has none (false), a response is asked of it as a
    chat and answered as a response.
    """
    cache: Literal["never", "deterministic", "always"] = "never"
    """Which whole answers are used again when the same key asks the same: those asked for at temperature 0 (and
    embeddings), or all; for as long as services.NAME.cache says (5m). A key may say otherwise.
    """
    connections: int = Field(default=512, ge=1, le=10_000)
    """Connections at the same time."""


class GatewaySection(Section):
    """The gateway stands under /v1 of server.listen once there is an upstream."""

    upstreams: dict[str, UpstreamSection] = Field(default_factory=dict)
    output_tokens: int = Field(default=4_096, ge=1, le=1_000_000)
    """The cap put into a request that has none, unless its key has another."""
    fallback: dict[str, Words] = Field(default_factory=dict, max_length=256)
    """Models that answer in the place of one (or of a pattern) whose budget is used up or whose vendor fails, in order
    (`claude-opus-*: [claude-haiku-4-5, gpt-6-luna]`).
    """
    drains: int = Field(default=64, ge=0, le=10_000)
    """Streams whose program left that are read to their end, to know what they cost; more are cut off."""
