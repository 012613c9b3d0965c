"""Signing in at an OpenID Connect issuer: authorization code with PKCE, and an ID token whose signature is checked.

Policy: only the configured issuer counts; its addresses are read from its own discovery document over the one way out; a
token is believed when its signature, issuer, audience, time and nonce all fit (OpenID Connect Core 1.0, 3.1.3.7; RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from aegis.config.settings import Oidc
from aegis.core.errors import BadInput
from aegis.core.ports import Clock, Http, HttpRequest
from aegis.core.roles import RoleName, widest
from aegis.core.secret import Secret

SERVICE: Final = "oidc"
WAITS: Final = timedelta(minutes=10)
"""How long somebody may take at the issuer."""
WAITING_MAX: Final = 1_000
"""Sign-ins under way; more push the oldest out."""
LEEWAY: Final = timedelta(minutes=2)
"""Between the issuer's clock and ours."""
ANSWER_BYTES_MAX: Final = 1_048_576
ALGORITHMS: Final = ("RS256", "PS256", "ES256")
"""The signatures that are read; `none` and shared secrets are not (RFC 8725, 3.1)."""
NAME_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: what its answer has to fit."""

    nonce: str
    verifier: str
    back: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class Issuer:
    """One issuer, as configured; `secret` is the client's, where it has one."""

    settings: Oidc
    secret: Secret | None
    http: Http
    clock: Clock
    _found: Mapping[str, Any] | None = None
    _keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _waiting: OrderedDict[str, Begun] = field(default_factory=OrderedDict)

    async def begin(self, back: str) -> tuple[str, str]:
        """The address at the issuer, and the state that the browser has to bring back. Raises `ServiceError`, `BadInput`."""
        found = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        self._waiting[state] = Begun(nonce, verifier, back, self.clock.now())
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)
        challenge = _b64(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": back,
            "scope": " ".join(("openid", *self.settings.scopes)),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{found['authorization_endpoint']}?{urlencode(asked)}", state

    async def finish(self, *, state: str, kept: str, code: str) -> tuple[str, RoleName]:
        """The name and role of who was signed in. `kept` is the state that the browser was given. Raises `BadInput` for
        whatever does not fit, and `ServiceError`.
        """
        begun = self._waiting.pop(state, None)
        if begun is None or not hmac.compare_digest(state.encode(), kept.encode()) or not code:
            raise BadInput("That sign-in did not begin here; try again", code="wrong_sign_in")
        if self.clock.now() - begun.at > WAITS:
            raise BadInput("The sign-in took too long; try again", code="wrong_sign_in")
        claims = await self._claims(await self._token(code, begun), begun.nonce)
        name = str(claims.get(self.settings.name_claim) or claims.get("sub") or "")[:NAME_CHARS].lower()
        said = claims.get(self.settings.groups_claim, ())
        groups = [said] if isinstance(said, str) else [str(one) for one in said] if isinstance(said, list) else []
        role = widest([self.settings.roles[group] for group in groups if group in self.settings.roles])
        role = role or self.settings.default
        if role is None:
            raise BadInput(f"{name or 'That person'} has no role here: none of the groups is named", code="no_role")
        return name, role

    async def _token(self, code: str, begun: Begun) -> str:
        found = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.back,
            "client_id": self.settings.client_id,
            "code_verifier": begun.verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self.secret is not None:
            both = f"{self.settings.client_id}:{self.secret.reveal()}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(both).decode()}"
        answer = await self._ask("POST", found["token_endpoint"], headers, urlencode(form).encode())
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise BadInput("The issuer gave no ID token", code="wrong_sign_in")
        return token

    async def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """What a token says, when it may be believed."""
        head, claims, signed, signature = _parts(token)
        key = await self._key(str(head.get("kid", "")))
        if head.get("alg") not in ALGORITHMS or not _signed_by(key, str(head["alg"]), signed, signature):
            raise BadInput("The ID token is not signed by the issuer", code="wrong_sign_in")
        now, audience = self.clock.now().timestamp(), claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        ends, made = claims.get("exp"), claims.get("iat")
        leeway = LEEWAY.total_seconds()
        right = (
            claims.get("iss") == self.settings.issuer
            and self.settings.client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == self.settings.client_id)
            and isinstance(ends, int | float)
            and now < ends + leeway
            and isinstance(made, int | float)
            and made < now + leeway
            and hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
        )
        if not right:
            raise BadInput("The ID token is not for this sign-in", code="wrong_sign_in")
        return claims

    async def _key(self, key_id: str) -> Mapping[str, Any]:
        """The issuer's key of that name; keys are read again when one is not known: issuers change them."""
        if key_id not in self._keys:
            found = await self._discovered()
            told = await self._ask("GET", found["jwks_uri"], {"accept": "application/json"}, b"")
            keys = told.get("keys")
            self._keys = {str(one.get("kid", "")): one for one in keys or () if isinstance(one, dict)}
        if key_id not in self._keys:
            raise BadInput("The ID token is signed by a key that the issuer does not name", code="wrong_sign_in")
        return self._keys[key_id]

    async def _discovered(self) -> Mapping[str, Any]:
        """The issuer's own document (OpenID Connect Discovery 1.0, 4), read once."""
        if self._found is None:
            address = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await self._ask("GET", address, {"accept": "application/json"}, b"")
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if found.get("issuer") != self.settings.issuer or not all(isinstance(found.get(n), str) for n in names):
                raise BadInput("The issuer's document is not that of the configured issuer", code="wrong_issuer")
            self._found = found
        return self._found

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
        request = HttpRequest(
            service=SERVICE, method=method, url=url, headers=headers, body=body, answer_bytes_max=ANSWER_BYTES_MAX
        )
        answer = await self.http.send(request)
        try:
            told = orjson.loads(answer.body)
        except ValueError:
            told = None
        if answer.status != 200 or not isinstance(told, dict):
            raise BadInput(f"The issuer answered {answer.status}", code="wrong_sign_in")
        return told


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], bytes, bytes]:
    """Head, claims, what is signed and the signature of a compact token (RFC 7515, 7.1)."""
    try:
        head, claims, signature = token.split(".")
        read = [orjson.loads(_unb64(part)) for part in (head, claims)]
        found = _unb64(signature)
    except ValueError:
        raise BadInput("The ID token cannot be read", code="wrong_sign_in") from None
    if not all(isinstance(one, dict) for one in read):
        raise BadInput("The ID token cannot be read", code="wrong_sign_in")
    return read[0], read[1], f"{head}.{claims}".encode(), found


def _signed_by(key: Mapping[str, Any], algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether a key made a signature (RFC 7518, 3.3 to 3.5). The key's kind decides, not the token alone."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    sha256 = hashes.SHA256()
    try:
        if algorithm == "ES256" and key.get("kty") == "EC" and key.get("crv") == "P-256":
            x, y = (int.from_bytes(_unb64(str(key[name])), "big") for name in ("x", "y"))
            half = len(signature) // 2
            pair = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
            public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            public.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(sha256))
            return True
        if algorithm in ("RS256", "PS256") and key.get("kty") == "RSA":
            e, n = (int.from_bytes(_unb64(str(key[name])), "big") for name in ("e", "n"))
            salted = padding.PSS(padding.MGF1(sha256), padding.PSS.DIGEST_LENGTH)
            rsa.RSAPublicNumbers(e, n).public_key().verify(
                signature, signed, padding.PKCS1v15() if algorithm == "RS256" else salted, sha256
            )
            return True
    except (InvalidSignature, KeyError, ValueError):
        return False
    return False


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
