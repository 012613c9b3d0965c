"""Claims about what a stop may reach: what is configured and nothing else, and nothing real in a rehearsal."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from aegis.app.cluster import cluster
from aegis.app.reach import actuators
from aegis.app.system import SystemClock
from aegis.config.load import load
from aegis.config.reach import Reach
from aegis.config.settings import Config
from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.emergency.ports import Actuator
from aegis.rehearsal.sandboxed import sandboxed
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.stores.database import Database

pytestmark = pytest.mark.anyio
ALL = """\
emergency:
  processes: {how: pause, grace: 3s}
  docker: {label: aegis.managed=true, how: stop, socket: /nowhere/docker.sock}
  kubernetes: {namespaces: [ai], server: "http://127.0.0.1:9", token: env:CLUSTER_TOKEN, delete_pods: cost-tier=high}
  credentials:
    anthropic: {ids: [apikey_1], admin_key: env:ANTHROPIC_ADMIN_KEY, scopes: {apikey_1: {team: red}}}
    openai: {ids: [proj_1, organization], admin_key: env:OPENAI_ADMIN_KEY}
    aws_keys: {ids: [ci/AKIA0000000000000001]}
    aws_roles: {ids: [agents]}
    athena: {ids: [primary], region: eu-west-1}
"""


def config(folder: Path, text: str) -> Config:
    file = folder / "aegis.yaml"
    file.write_text(text)
    return load((file,), {})


def resolve(reference: Reference) -> Secret:
    return Secret(f"value of {reference}")


async def made(reach: Reach, env: Mapping[str, str] | None = None) -> dict[str, Actuator]:
    database = await Database.open(":memory:")
    try:
        clock = SystemClock()
        opening = actuators(reach, database, clock=clock, observer=lambda _: None, resolve=resolve, env=env or {})
        async with opening as found:
            return {one.kind: one for one in found}
    finally:
        await database.close()


async def test_without_configuration_only_registered_programs_are_reached(tmp_path: Path) -> None:
    assert list(await made(config(tmp_path, "").emergency.reach)) == ["processes"]


async def test_each_part_that_is_configured_is_there(tmp_path: Path) -> None:
    whole = config(tmp_path, ALL)
    kinds = "processes docker kubernetes anthropic-keys openai-spend aws-keys aws-roles athena-workgroups"
    assert list(await made(whole.emergency.reach)) == kinds.split()
    secrets = ("kubernetes.token", "credentials.anthropic.admin_key", "credentials.openai.admin_key")
    assert {f"emergency.{one}" for one in secrets} <= set(whole.references())


async def test_a_rehearsal_reaches_nothing_real(tmp_path: Path) -> None:
    async with serve(World(clock=SystemClock())) as serving:
        rehearsed = sandboxed(config(tmp_path, ALL), serving)
    assert rehearsed.emergency.reach == Reach()


@pytest.mark.parametrize(
    "wrong",
    [
        "docker: {label: ''}",
        "kubernetes: {namespaces: [ai], label: managed}",
        "kubernetes: {namespaces: []}",
        "credentials: {anthropic: {ids: [apikey_1]}}",
        "credentials: {anthropic: {ids: [apikey_1], admin_key: sk-ant-admin01-literal}}",
        "credentials: {azure: {ids: [x]}}",
        "processes: {how: pkill}",
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError):
        config(tmp_path, f"emergency: {{{wrong}}}\n")


def pod(tmp_path: Path, authority: str) -> Path:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("first\n")
    (account / "ca.crt").write_text(authority)
    return account


@pytest.fixture
def authority() -> str:
    import certifi

    return Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


def test_a_pod_finds_its_cluster_and_reads_its_token_anew(tmp_path: Path, authority: str) -> None:
    account = pod(tmp_path, authority[authority.index("-----BEGIN") :])
    settings = config(tmp_path, "emergency: {kubernetes: {namespaces: [ai]}}\n").emergency.reach.cluster
    assert settings is not None
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    there = cluster(settings, env, resolve, account)
    assert (there.base, there.token().reveal()) == ("https://10.0.0.1:6443", "first")
    (account / "token").write_text("second")
    assert there.token().reveal() == "second"
    with pytest.raises(ConfigError, match="no pod"):
        cluster(settings, {}, resolve, account)


@pytest.mark.parametrize(
    ("user", "works"), [("{token: abc}", True), ("{client-certificate-data: abc}", False), ("{tokenFile: FILE}", True)]
)
def test_a_kubeconfig_gives_server_and_token(tmp_path: Path, user: str, works: bool) -> None:
    (tmp_path / "token").write_text("abc")
    (tmp_path / "kubeconfig").write_text(
        "current-context: main\n"
        "contexts: [{name: other, context: {cluster: o, user: o}}, {name: main, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://k8s.example:6443'}}]\n"
        f"users: [{{name: u, user: {user.replace('FILE', str(tmp_path / 'token'))}}}]\n"
    )
    text = f"emergency: {{kubernetes: {{namespaces: [ai], kubeconfig: {tmp_path / 'kubeconfig'}}}}}\n"
    settings = config(tmp_path, text).emergency.reach.cluster
    assert settings is not None
    if works:
        there = cluster(settings, {}, resolve)
        assert (there.base, there.token().reveal(), there.tls) == ("https://k8s.example:6443", "abc", None)
    else:
        with pytest.raises(ConfigError, match="no token"):
            cluster(settings, {}, resolve)
