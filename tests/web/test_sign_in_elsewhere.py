"""People who are signed in by a proxy in front of Aegis or at an OpenID Connect issuer: only by those, only as those say."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import orjson
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from tests.web.faces import Face, faced

from aegis.config.settings import Proxy
from aegis.core.errors import BadInput
from aegis.core.roles import widest
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

PROXY = Proxy(
    addresses=("127.0.0.1",),
    user="X-Forwarded-User",
    groups="X-Forwarded-Groups",
    roles={"soc": "analyst", "ops": "operator"},
    default=None,
)
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())


async def status(face: Face, headers: dict[str, str], method: str = "GET", path: str = "/api/budgets") -> int:
    async with face.client.request(method, f"{face.address}{path}", headers=headers) as answer:
        return answer.status


async def test_a_proxys_headers_count_from_its_own_address_and_go_as_far_as_the_groups(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        face.access.settings = replace(face.access.settings, proxy=PROXY)
        analyst = {"X-Forwarded-User": "ann@example.org", "X-Forwarded-Groups": "staff, soc"}
        assert await status(face, {}) == 401
        assert await status(face, analyst) == 200
        assert await status(face, analyst, "DELETE", "/api/silences/sil_1") == 403
        both = {**analyst, "X-Forwarded-Groups": "soc,ops", "Origin": face.address}
        assert await status(face, both, "DELETE", "/api/silences/sil_1") == 404, "the widest role of two"
        assert await status(face, {**analyst, "X-Forwarded-Groups": "staff"}) == 401, "in no group that is named"
        assert await status(face, {**analyst, "X-Forwarded-User": "ann <b>"}) == 401
        face.access.settings = replace(face.access.settings, proxy=replace(PROXY, addresses=("10.0.0.0/8",)))
        assert await status(face, analyst) == 401, "from another address"


def test_of_several_groups_the_widest_role_counts() -> None:
    assert widest(["viewer", "operator", "analyst"]) == "operator"
    assert widest(["budget-admin", "analyst"]) == "analyst"
    assert widest([]) is None


# --- an issuer of our own, which signs like a real one ---------------------------------------------------------------


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass
class Issuing:
    """What the issuer gives next; tests change it to give what is wrong."""

    address: str = ""
    client: aiohttp.ClientSession | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    seen: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    tamper: bool = False

    def keys(self) -> list[dict[str, str]]:
        of = RSA.public_key().public_numbers()
        point = EC.public_key().public_numbers()
        return [
            {"kid": "r", "kty": "RSA", "n": number(of.n), "e": number(of.e)},
            {"kid": "e", "kty": "EC", "crv": "P-256", "x": number(point.x), "y": number(point.y)},
        ]

    def token(self) -> str:
        head = {"alg": self.algorithm, "kid": "e" if self.algorithm == "ES256" else "r"}
        signed = f"{b64(orjson.dumps(head))}.{b64(orjson.dumps(self.claims))}"
        match self.algorithm:
            case "ES256":
                pair = utils.decode_dss_signature(EC.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
                signature = b"".join(part.to_bytes(32, "big") for part in pair)
            case "none":
                signature = b""
            case _:
                signature = RSA.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        if self.tamper:
            signed = f"{b64(orjson.dumps(head))}.{b64(orjson.dumps({**self.claims, 'groups': ['ops', 'root']}))}"
        return f"{signed}.{b64(signature)}"


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuing]:
    it = Issuing()

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": it.address,
                "authorization_endpoint": f"{it.address}/authorize",
                "token_endpoint": f"{it.address}/token",
                "jwks_uri": f"{it.address}/keys",
            }
        )

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": it.keys()})

    async def token(request: web.Request) -> web.Response:
        it.seen = {name: str(value) for name, value in (await request.post()).items()}
        it.seen["authorization"] = request.headers.get("Authorization", "")
        challenge = b64(hashlib.sha256(it.seen["code_verifier"].encode()).digest())
        if challenge != it.asked["code_challenge"] or it.seen["code"] != "the-code":
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": it.token(), "access_token": "a", "token_type": "Bearer"})

    app = web.Application()
    app.add_routes(
        [web.get("/.well-known/openid-configuration", discovery), web.get("/keys", keys), web.post("/token", token)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    it.address = f"http://127.0.0.1:{port}"
    try:
        yield it
    finally:
        await runner.cleanup()


def oidc(it: Issuing) -> str:
    return (
        f"accounts:\n  oidc: {{issuer: '{it.address}', client_id: aegis, client_secret: 'env:SANDBOX_KEY', "
        "roles: {soc: analyst, ops: operator}}\n"
    )


async def come_back(face: Face, it: Issuing, **claims: Any) -> aiohttp.ClientResponse:
    """Sign in at the issuer and come back, the way a browser does."""
    async with face.client.get(f"{face.address}/sign-in/oidc", allow_redirects=False) as away:
        it.asked = dict(parse_qsl(urlsplit(away.headers["Location"]).query))
    now = face.app.clock.now().timestamp()
    it.claims = {
        "iss": it.address,
        "aud": "aegis",
        "sub": "42",
        "preferred_username": "Ann",
        "groups": ["soc"],
        "iat": now,
        "exp": now + 300,
        "nonce": it.asked["nonce"],
    } | claims
    back = f"{face.address}/sign-in/oidc/done?code=the-code&state={it.asked['state']}"
    async with face.client.get(back, allow_redirects=False) as answer:
        await answer.read()
        return answer


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_who_the_issuer_names_is_in_with_the_role_of_the_groups(tmp_path: Path, algorithm: str) -> None:
    async with issuing() as it, faced(tmp_path, more=oidc(it)) as face:
        it.algorithm = algorithm
        assert (await come_back(face, it)).status == 303
        async with face.client.get(face.address) as page:
            assert 'ann <span class="soft">analyst</span>' in await page.text()
        assert it.asked["code_challenge_method"] == "S256"
        assert it.asked["redirect_uri"] == f"{face.address}/sign-in/oidc/done"
        assert it.seen["authorization"].startswith("Basic ")
        assert await status(face, {"Origin": face.address}, "DELETE", "/api/silences/sil_1") == 403
        assert (await come_back(face, it, groups=["ops"])).status == 303, "the issuer's role holds from then on"
        assert await status(face, {"Origin": face.address}, "DELETE", "/api/silences/sil_1") == 404


WRONG: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "another"},
    "another issuer": {"iss": "https://elsewhere.example"},
    "an old token": {"exp": 1_000},
    "another sign-in's nonce": {"nonce": "another"},
    "no group that has a role": {"groups": ["staff"]},
    "several audiences without ours as the party": {"aud": ["aegis", "another"]},
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_token_that_does_not_fit_lets_nobody_in(tmp_path: Path, what: str) -> None:
    async with issuing() as it, faced(tmp_path, more=oidc(it)) as face:
        assert (await come_back(face, it, **WRONG[what])).status == 403
        assert await status(face, {}) == 401


async def test_a_token_that_the_issuer_did_not_sign_lets_nobody_in(tmp_path: Path) -> None:
    async with issuing() as it, faced(tmp_path, more=oidc(it)) as face:
        for it.algorithm, it.tamper in (("none", False), ("HS256", False), ("RS256", True), ("ES256", True)):
            assert (await come_back(face, it)).status == 403
        assert await status(face, {}) == 401


async def test_a_sign_in_that_began_in_another_browser_does_not_count(tmp_path: Path) -> None:
    async with issuing() as it, faced(tmp_path, more=oidc(it)) as face:
        async with face.client.get(f"{face.address}/sign-in/oidc", allow_redirects=False) as away:
            state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        async with aiohttp.ClientSession() as other:
            address = f"{face.address}/sign-in/oidc/done?code=the-code&state={state}"
            async with other.get(address, allow_redirects=False) as answer:
                assert answer.status == 403


async def test_an_issuer_cannot_take_over_a_local_account(tmp_path: Path) -> None:
    async with issuing() as it, faced(tmp_path, more=oidc(it)) as face:
        await face.app.accounts.add("ann", "admin", Secret("correct horse battery"), by="test")
        assert (await come_back(face, it)).status == 403
        assert await status(face, {}) == 401
        assert (await come_back(face, it, preferred_username="bob")).status == 303
        with pytest.raises(BadInput):
            await face.app.accounts.sign_in("bob", Secret("elsewhere"))
