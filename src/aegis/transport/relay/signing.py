"""AWS' signature of a request (Signature Version 4), for upstreams that take no other credential.

docs.aws.amazon.com, IAM: create a signed AWS API request. The path is encoded once more than it is sent, as for every
service but S3.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from aegis.core.errors import ConfigError
from aegis.core.secret import Secret
from aegis.transport.relay.connection import Headers


class Signer:
    """Signs for one upstream. `pair` is `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` for temporary ones.

    Raises `ConfigError` for a pair that is none.
    """

    def __init__(self, pair: Secret, base_url: str, *, region: str, service: str = "bedrock") -> None:
        parts = urlsplit(base_url)
        self._host, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._region, self._service, self._pair = region, service, pair
        if len([part for part in pair.reveal().split(":", 2) if part]) < 2:
            raise ConfigError("the key of a sigv4 upstream is ACCESS_KEY_ID:SECRET_ACCESS_KEY")

    def sign(self, path: bytes, body: bytes, at: datetime) -> Headers:
        """The headers that sign a POST of `body` to `path` (without query) at a time."""
        key_id, secret, token = [*self._pair.reveal().split(":", 2), ""][:3]
        moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": self._host, "x-amz-date": moment} | ({"x-amz-security-token": token} if token else {})
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        address = quote(self._prefix + path.decode("ascii"), safe="/~")
        canonical = "\n".join(("POST", address, "", lines, names, hashlib.sha256(body).hexdigest()))
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        key = b"AWS4" + secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}".encode(), "sha256").hex()
        said = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        more = [(name.encode(), value.encode()) for name, value in signed.items() if name != "host"]
        return [*more, (b"authorization", said.encode())]
