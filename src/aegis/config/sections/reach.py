"""What an emergency stop reaches outside of Aegis, as it is written under `emergency`. Nothing is reached that is not named."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aegis.config.sections.kinds import Address, Duration, SecretRef, Section, Words, written

Selector = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./_-]{0,252}=[A-Za-z0-9._-]{1,63}$")]
Scopes = dict[str, dict[str, str]]


class ProcessesSection(Section):
    """Programs started with `aegis run`."""

    how: Literal["end", "pause"] = "end"
    """`end`: TERM, the grace, KILL. `pause`: halted where they stand, until the return."""
    grace: Duration = written("10s")
    """How long a program may take to end by itself."""


class DockerSection(Section):
    """Containers with one label."""

    label: str = Field(default="aegis.managed=true", min_length=1, max_length=256)
    """The label of containers that may be stopped."""
    how: Literal["pause", "stop"] = "pause"
    """`pause` halts them where they stand; `stop` ends them in order."""
    socket: str = Field(default="/var/run/docker.sock", pattern=r"^/.+$")
    """The engine's socket, or that of a proxy which lets through only what is needed."""


class KubernetesSection(Section):
    """Workloads with one label. Without server and kubeconfig Aegis runs in the cluster itself."""

    namespaces: Words = Field(min_length=1)
    """Namespaces that are looked into."""
    label: Selector = "aegis.dev/managed=true"
    """The label of workloads that may be scaled to 0."""
    delete_pods: Selector | None = None
    """Pods of what was scaled to 0 that are deleted at once, such as cost-tier=high; the others end by themselves."""
    server: Address | None = None
    """Address of the cluster's API."""
    token: SecretRef | None = None
    """Reference to the token of a service account."""
    ca: str | None = Field(default=None, pattern=r"^(/|~/).+$")
    """File of the cluster's own authority."""
    kubeconfig: str | None = Field(default=None, pattern=r"^(/|~/).+$")
    """File whose current context says server, authority and token."""


class VendorIdsSection(Section):
    """What is disabled by an administrator's key of its own."""

    ids: Words = Field(min_length=1, max_length=1_000)
    """What may be disabled."""
    admin_key: SecretRef
    """Reference to the administrator's key; it is read when it is needed."""
    base_url: Address | None = None
    """Where the provider is reached instead of its own address."""
    scopes: Scopes = Field(default_factory=dict)
    """Whose each is: `{apikey_01: {team: build}}`; one that says nothing is stopped with its whole provider only."""


class AwsIdsSection(Section):
    """What is disabled at AWS; credentials are found as the AWS tools find them. Needs `pip install 'aegis[aws]'`."""

    ids: Words = Field(min_length=1, max_length=1_000)
    """What may be disabled."""
    region: str = ""
    """The region; empty: the AWS tools' own."""
    base_url: Address | None = None
    """Where AWS is reached instead of its own address."""
    scopes: Scopes = Field(default_factory=dict)
    """Whose each is, as for the other providers."""


class CredentialsSection(Section):
    """Credentials that are disabled at their provider, and come back."""

    anthropic: VendorIdsSection | None = None
    """Ids of API keys (`apikey_...`): made inactive."""
    openai: VendorIdsSection | None = None
    """Ids of projects (`proj_...`), or `organization`: their hard spend limit is put to a cent."""
    aws_keys: AwsIdsSection | None = None
    """`USER/AKIA...` for access keys, `USER/ACCA...` for Bedrock API keys: made inactive."""
    aws_roles: AwsIdsSection | None = None
    """Names of roles: denied what costs money by the call."""
    athena: AwsIdsSection | None = None
    """Names of workgroups: disabled."""
