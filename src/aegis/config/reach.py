"""What an emergency stop reaches outside of Aegis, as the rest of Aegis reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aegis.config.sections.reach import CredentialsSection, DockerSection, KubernetesSection, ProcessesSection
from aegis.core.references import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    how: Literal["end", "pause"] = "end"
    grace_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    socket: str
    label: str
    how: Literal["pause", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """`server` is empty, and `kubeconfig` None, where Aegis runs in the cluster itself."""

    namespaces: tuple[str, ...]
    label: str
    delete_pods: str
    server: str
    token: Reference | None
    ca: Path | None
    kubeconfig: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """`ids`, each with what a scope may say about it; `base_url` and `region` are empty for the vendor's own."""

    ids: Mapping[str, Mapping[str, str]]
    admin_key: Reference | None = None
    base_url: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Everything that a stop may reach. `credentials` go by the name of their section: `anthropic`, `aws_keys`, ..."""

    programs: Programs = field(default_factory=Programs)
    containers: Containers | None = None
    cluster: ClusterSettings | None = None
    credentials: Mapping[str, Credentials] = field(default_factory=dict)

    def reference_at(self, path: list[str]) -> Reference | None:
        """The secret that a value below `emergency` refers to."""
        match path:
            case ["kubernetes", "token"] if self.cluster is not None:
                return self.cluster.token
            case ["credentials", name, "admin_key"] if name in self.credentials:
                return self.credentials[name].admin_key
        return None


def reach(
    processes: ProcessesSection,
    docker: DockerSection | None,
    kubernetes: KubernetesSection | None,
    credentials: CredentialsSection,
) -> Reach:
    """From the sections as written."""
    return Reach(
        programs=Programs(how=processes.how, grace_ms=processes.grace),
        containers=Containers(socket=docker.socket, label=docker.label, how=docker.how) if docker else None,
        cluster=_cluster(kubernetes) if kubernetes else None,
        credentials={name: _credentials(one) for name, one in credentials if one is not None},
    )


def _cluster(section: KubernetesSection) -> ClusterSettings:
    return ClusterSettings(
        namespaces=tuple(section.namespaces),
        label=section.label,
        delete_pods=section.delete_pods or "",
        server=(section.server or "").rstrip("/"),
        token=section.token,
        ca=_file(section.ca),
        kubeconfig=_file(section.kubeconfig),
    )


def _credentials(section: object) -> Credentials:
    ids: list[str] = getattr(section, "ids", [])
    scopes: Mapping[str, Mapping[str, str]] = getattr(section, "scopes", {})
    return Credentials(
        ids={one: dict(scopes.get(one, {})) for one in ids},
        admin_key=getattr(section, "admin_key", None),
        base_url=(getattr(section, "base_url", None) or "").rstrip("/"),
        region=getattr(section, "region", ""),
    )


def _file(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
