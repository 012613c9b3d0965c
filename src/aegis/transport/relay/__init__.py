"""Our own small keep-alive HTTP/1.1 client for the gateway's upstreams, hardened like a server. Connectors never use it."""

from aegis.transport.relay.connection import Answer, Limits
from aegis.transport.relay.pool import Relay
from aegis.transport.relay.signing import Signer

__all__ = ["Answer", "Limits", "Relay", "Signer"]
