"""Claims about stopping workloads of a cluster: every count comes back, and nothing without the label is changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.connectors.contracts import Contract
from tests.emergency.actuators.conftest import Outside

from aegis.app.system import SystemClock
from aegis.core.errors import BadInput, ServiceError
from aegis.core.secret import Secret
from aegis.core.stops import Target
from aegis.emergency.actuators.kubernetes import Kubernetes
from aegis.sandbox.faults import Fault, Mode
from aegis.sandbox.services.kubernetes import DENIED

pytestmark = pytest.mark.anyio
PATHS = {
    "deployments": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "cronjobs": "apis/batch/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "pods": "api/v1",
}
OURS = {"aegis.dev/managed": "true"}


def at(plural: str, name: str = "", namespace: str = "ai") -> str:
    return f"/kubernetes/{PATHS[plural]}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


class Cluster:
    """A sandbox of a cluster."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    async def ask(self, method: str, path: str, value: Any = None, **headers: str) -> Any:
        answer = await self.outside.ask(method, path, value, authorization="Bearer test", **headers)
        assert answer.status < 300, answer.body
        return orjson.loads(answer.body)

    async def make(
        self,
        name: str,
        replicas: int = 3,
        *,
        plural: str = "deployments",
        labels: Mapping[str, str] = OURS,
        pods: Mapping[str, str] | None = None,
        namespace: str = "ai",
    ) -> None:
        template = {
            "metadata": {"labels": {"app": name, **(pods or {})}},
            "spec": {"containers": [{"name": "main", "image": "box"}]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        await self.ask("POST", at(plural, namespace=namespace), {"metadata": _meta(name, labels), "spec": spec})

    async def other(self, plural: str, name: str, spec: Any, labels: Mapping[str, str] = OURS) -> None:
        await self.ask("POST", at(plural), {"metadata": _meta(name, labels), "spec": spec})

    def spec(self, plural: str, name: str, namespace: str = "ai") -> Any:
        found = self.outside.world.documents("kubernetes", plural)
        return next(one["spec"] for one in found if _named(one, name, namespace))

    def pods(self, app: str) -> int:
        found = self.outside.world.documents("kubernetes", "pods")
        return sum(one["metadata"].get("labels", {}).get("app") == app for one in found)

    def actuator(self, *, delete_pods: str = "", token: str = "token") -> Kubernetes:
        return Kubernetes(
            self.outside,
            clock=SystemClock(),
            base=f"{self.outside.url}/kubernetes",
            token=lambda: Secret(token),
            namespaces=("ai",),
            label="aegis.dev/managed=true",
            delete_pods=delete_pods,
        )


def _meta(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, "labels": dict(labels)}


def _named(one: Any, name: str, namespace: str) -> bool:
    return (one["metadata"]["name"], one["metadata"]["namespace"]) == (name, namespace)


@pytest.fixture
def cluster(outside: Outside) -> Cluster:
    return Cluster(outside)


def autoscaler(name: str, **more: Any) -> Any:
    return {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "maxReplicas": 9, **more}


async def test_everything_of_the_label_is_stopped_and_every_count_comes_back(cluster: Cluster) -> None:
    await cluster.make("agents", 3)
    await cluster.make("index", 2, plural="statefulsets")
    await cluster.make("asleep", 0)
    await cluster.make("agents-decoy", 4, labels={"aegis.dev/managed": "false"})
    await cluster.make("agents", 5, namespace="other")
    await cluster.other("cronjobs", "nightly", {"schedule": "0 3 * * *"})
    await cluster.other("cronjobs", "held", {"schedule": "0 3 * * *", "suspend": True})
    await cluster.other("cronjobs", "decoy", {"schedule": "0 3 * * *"}, {})
    up = {"scaleUp": {"stabilizationWindowSeconds": 5}}
    await cluster.other("horizontalpodautoscalers", "agents", autoscaler("agents", minReplicas=0, behavior=up), {})
    await cluster.other("horizontalpodautoscalers", "decoy", autoscaler("agents-decoy"), {})
    before = {one: cluster.outside.world.documents("kubernetes", one) for one in PATHS}
    kubernetes = cluster.actuator()
    targets = await kubernetes.plan_targets({})
    assert [one.name for one in targets] == [
        "ai/horizontalpodautoscalers/agents",
        "ai/cronjobs/nightly",
        "ai/deployments/agents",
        "ai/statefulsets/index",
    ]
    assert cluster.outside.changes() == []
    for _ in range(2):
        for target in targets:
            await kubernetes.stop(target)
            assert await kubernetes.status(target) == "stopped"
    assert cluster.spec("deployments", "agents")["replicas"] == 0
    assert cluster.spec("horizontalpodautoscalers", "agents")["behavior"]["scaleUp"]["selectPolicy"] == "Disabled"
    for _ in range(2):
        for target in targets:
            await kubernetes.restore(target)
            assert await kubernetes.status(target) == "running"
    assert len(cluster.outside.changes()) == 2 * len(targets)
    for plural in ("deployments", "statefulsets", "cronjobs", "horizontalpodautoscalers"):
        after = cluster.outside.world.documents("kubernetes", plural)
        kept = [{**one["spec"], "suspend": one["spec"].get("suspend", False)} for one in after]
        assert kept == [{**one["spec"], "suspend": one["spec"].get("suspend", False)} for one in before[plural]]


async def test_pods_are_deleted_only_once_their_controller_wants_none(cluster: Cluster) -> None:
    dear = {"cost-tier": "high"}
    await cluster.make("agents", 3, pods=dear)
    await cluster.make("decoy", 2, pods=dear, labels={})
    await cluster.other("pods", "lonely", {"containers": [{"name": "main"}]}, {**dear, "app": "agents"})
    kubernetes = cluster.actuator(delete_pods="cost-tier=high")
    (target,) = await kubernetes.plan_targets({})
    await kubernetes.stop(target)
    changes = cluster.outside.changes()
    assert [one.split()[0] for one in changes] == ["PUT", "DELETE", "DELETE", "DELETE"]
    assert (cluster.pods("agents"), cluster.pods("decoy")) == (1, 2), "the pod without a controller stays"
    await kubernetes.restore(target)
    assert cluster.pods("agents") == 4


async def test_another_object_or_another_count_than_was_planned_is_left_alone(cluster: Cluster) -> None:
    await cluster.make("agents", 3)
    kubernetes = cluster.actuator()
    (target,) = await kubernetes.plan_targets({})
    other = Target(kind="kubernetes", id=target.id[:-1] + "f", name="x", saved=target.saved)
    changed = Target(kind="kubernetes", id=target.id, name="x", saved={"replicas": "7"})
    for wrong in (other, changed, Target(kind="kubernetes", id="ai/pods/../x/u", name="x")):
        with pytest.raises(BadInput):
            await kubernetes.stop(wrong)
    assert (await kubernetes.status(other), cluster.outside.changes()) == ("gone", [])


async def test_a_count_that_somebody_set_during_the_stop_is_not_overwritten(cluster: Cluster) -> None:
    await cluster.make("agents", 3)
    kubernetes = cluster.actuator()
    (target,) = await kubernetes.plan_targets({})
    await kubernetes.stop(target)
    patch = {"spec": {"replicas": 1}}
    await cluster.ask("PATCH", at("deployments", "agents"), patch, content_type="application/merge-patch+json")
    with pytest.raises(BadInput):
        await kubernetes.restore(target)
    assert cluster.spec("deployments", "agents")["replicas"] == 1


async def test_a_lost_answer_and_a_crash_lead_to_a_right_second_try(cluster: Cluster) -> None:
    await cluster.make("agents", 3)
    kubernetes = cluster.actuator()
    (target,) = await kubernetes.plan_targets({})
    cluster.outside.world.put_fault("kubernetes", Fault(mode=Mode.LOST, count=1, after=1))
    with pytest.raises(ServiceError) as lost:
        await kubernetes.stop(target)
    assert (lost.value.retryable, cluster.spec("deployments", "agents")["replicas"]) == (True, 0)
    await cluster.actuator().stop(target)
    await cluster.actuator().restore(target)
    assert cluster.spec("deployments", "agents")["replicas"] == 3


async def test_what_may_not_be_done_is_said_and_not_tried_again(cluster: Cluster) -> None:
    await cluster.make("agents", 3)
    kubernetes = cluster.actuator(token=DENIED)
    (target,) = await kubernetes.plan_targets({})
    with pytest.raises(ServiceError, match="403 Forbidden") as refused:
        await kubernetes.stop(target)
    assert not refused.value.retryable


async def test_a_scope_takes_what_its_labels_say(cluster: Cluster) -> None:
    await cluster.make("red", labels={**OURS, "aegis.dev/team": "red"})
    await cluster.make("blue")
    targets = await cluster.actuator().plan_targets({"team": "red"})
    assert [one.name for one in targets] == ["ai/deployments/red"]
    assert await cluster.actuator().plan_targets({"service": "anthropic"}) == []


async def test_requests_and_the_stand_in_keep_the_clusters_contract(cluster: Cluster, shared: Path) -> None:
    await cluster.make("agents", 2, pods={"cost-tier": "high"})
    kubernetes = cluster.actuator(delete_pods="cost-tier=high")
    (target,) = await kubernetes.plan_targets({})
    for path, name in (
        (at("deployments"), "deployment_list"),
        (at("pods"), "pod_list"),
        (at("deployments", "agents") + "/scale", "scale"),
    ):
        answer = await cluster.ask("GET", path)
        assert Contract.of(shared, "kubernetes", name, "responses").breaches(answer) == []
    missing = await cluster.outside.ask("GET", at("deployments", "none"), authorization="Bearer test")
    assert Contract.of(shared, "kubernetes", "status", "responses").breaches(orjson.loads(missing.body)) == []
    await kubernetes.stop(target)
    names = {"PUT": "scale_deployment_put", "DELETE": "delete_pods_by_label"}
    checked = [one for one in cluster.outside.sent if one.method in names]
    for sent in checked:
        assert Contract.of(shared, "kubernetes", names[sent.method]).breaches(orjson.loads(sent.body)) == []
    assert [one.method for one in checked] == ["PUT", "DELETE", "DELETE"]
