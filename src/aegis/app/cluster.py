"""How a Kubernetes cluster is reached: from inside, by a kubeconfig, or as written. Tokens only; they are read anew each time."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aegis.config.reach import ClusterSettings
from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its account (kubernetes.io, Accessing the Kubernetes API from a Pod)."""
KUBECONFIG_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`tls` is None for the system's authorities."""

    base: str
    token: Callable[[], Secret] = field(repr=False)
    tls: ssl.SSLContext | None = None


def cluster(
    settings: ClusterSettings, env: Mapping[str, str], resolve: Callable[[Reference], Secret], account: Path = ACCOUNT
) -> Cluster:
    """Raises `ConfigError` when it is not said where the cluster stands, or its token is not to be had."""
    if settings.kubeconfig is not None:
        return _from_file(settings.kubeconfig)
    if settings.server:
        reference = settings.token
        if reference is None:
            raise ConfigError("emergency.kubernetes.token: is needed beside server")
        tls = _trusting(settings.ca.read_text(encoding="ascii")) if settings.ca else None
        return Cluster(base=settings.server, token=lambda: resolve(reference), tls=tls)
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").exists():
        raise ConfigError("emergency.kubernetes: this is no pod; give server and token, or kubeconfig")
    ca = (account / "ca.crt").read_text(encoding="ascii")
    base = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Cluster(base=base, token=lambda: _read(account / "token"), tls=_trusting(ca))


def _from_file(path: Path) -> Cluster:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = path.read_text(encoding="utf-8")
        held = YAML(typ="safe", pure=True).load(text) if len(text) <= KUBECONFIG_BYTES_MAX else None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"emergency.kubernetes.kubeconfig: cannot be read ({type(error).__name__})") from None
    context = _named(held, "contexts", held.get("current-context") if isinstance(held, dict) else None, "context")
    found = _named(held, "clusters", context.get("cluster"), "cluster")
    user = _named(held, "users", context.get("user"), "user")
    token, file = user.get("token"), user.get("tokenFile")
    if not token and not file:
        raise ConfigError("emergency.kubernetes.kubeconfig: its user has no token; client certificates are not used")
    ask = (lambda: Secret(str(token))) if token else (lambda: _read(Path(str(file))))
    return Cluster(base=str(found.get("server", "")).rstrip("/"), token=ask, tls=_authority(found))


def _named(held: Any, kind: str, name: Any, inner: str) -> Mapping[str, Any]:
    listed = held.get(kind) if isinstance(held, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("name") == name and isinstance(one.get(inner), dict):
            found: Mapping[str, Any] = one[inner]
            return found
    raise ConfigError(f"emergency.kubernetes.kubeconfig: has no {inner} for its current context")


def _authority(found: Mapping[str, Any]) -> ssl.SSLContext | None:
    data, file = found.get("certificate-authority-data"), found.get("certificate-authority")
    try:
        if data:
            return _trusting(base64.b64decode(str(data), validate=True).decode("ascii"))
        return _trusting(Path(str(file)).read_text(encoding="ascii")) if file else None
    except (binascii.Error, UnicodeDecodeError, OSError):
        raise ConfigError("emergency.kubernetes.kubeconfig: its certificate authority cannot be read") from None


def _trusting(pem: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=pem)
    except ssl.SSLError:
        raise ConfigError("emergency.kubernetes: the certificate authority is no PEM") from None


def _read(path: Path) -> Secret:
    try:
        return Secret(path.read_text(encoding="ascii").strip())
    except OSError:
        raise ConfigError(f"emergency.kubernetes: the token {path} cannot be read") from None
