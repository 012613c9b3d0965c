"""Claims about credentials that are disabled at their vendor: reversibly, only those that are named, again after a crash."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from anthropic.types.beta.organization import BetaAPIKey
from openai.types.admin.organization.projects import ProjectSpendLimit, ProjectSpendLimitDeleted
from tests.connectors.contracts import Contract
from tests.emergency.actuators.conftest import Outside

from aegis.app.system import SystemClock
from aegis.core.errors import BadInput, ServiceError
from aegis.core.secret import Secret
from aegis.core.stops import Grade, Target
from aegis.emergency.actuators.anthropic_keys import AnthropicKeys
from aegis.emergency.actuators.aws import DENIED, POLICY, AthenaWorkgroups, AwsKeys, AwsRoles
from aegis.emergency.actuators.openai_spend import OpenAISpend
from aegis.emergency.ports import Actuator
from aegis.sandbox.faults import Fault, Mode
from aegis.transport.aws import Aws, AwsClients, make_client

pytestmark = pytest.mark.anyio
Owns = Mapping[str, Mapping[str, str]]
RED: Owns = {"red": {"team": "red"}, "blue": {}}


def claude(outside: Outside, keys: Owns, admin: str = "sk-ant-admin01-test") -> AnthropicKeys:
    base = f"{outside.url}/anthropic"
    return AnthropicKeys(outside, clock=SystemClock(), base=base, admin_key=lambda: Secret(admin), keys=keys)


def spend(outside: Outside, projects: Owns) -> OpenAISpend:
    base = f"{outside.url}/openai"
    key = Secret("sk-admin-test")
    return OpenAISpend(outside, clock=SystemClock(), base=base, admin_key=lambda: key, projects=projects)


@cache
def clients() -> AwsClients:
    return AwsClients(Aws(), make=partial(make_client, stand_in=True))


async def iam(outside: Outside, operation: str, **request: Any) -> Mapping[str, Any]:
    return await clients().call("iam", "iam", operation, request, region="", endpoint=f"{outside.url}/iam")


async def _claude(outside: Outside) -> Actuator:
    return claude(outside, RED)


async def _spend(outside: Outside) -> Actuator:
    await outside.ask("POST", "/openai/v1/organization/projects/red/spend_limit", LIMIT, authorization="Bearer x")
    return spend(outside, RED)


async def _keys(outside: Outside) -> Actuator:
    made = await iam(outside, "create_access_key", UserName="ci")
    other = await iam(outside, "create_service_specific_credential", UserName="ci", ServiceName="bedrock.amazonaws.com")
    await iam(outside, "create_access_key", UserName="ci")
    keys = {
        f"ci/{made['AccessKey']['AccessKeyId']}": {"team": "red"},
        f"ci/{other['ServiceSpecificCredential']['ServiceSpecificCredentialId']}": {},
    }
    return AwsKeys(clients(), keys=keys, endpoint=f"{outside.url}/iam")


async def _roles(outside: Outside) -> Actuator:
    for name in ("red", "blue", "decoy"):
        await iam(outside, "create_role", RoleName=name, AssumeRolePolicyDocument="{}")
    return AwsRoles(clients(), roles=RED, endpoint=f"{outside.url}/iam")


async def _groups(outside: Outside) -> Actuator:
    return AthenaWorkgroups(clients(), workgroups=RED, endpoint=f"{outside.url}/athena")


LIMIT = {"threshold_amount": 50_000, "currency": "USD", "interval": "month"}
Make = Callable[[Outside], Awaitable[Actuator]]
ALL = pytest.mark.parametrize("make", [_claude, _spend, _keys, _roles, _groups])


def held(outside: Outside) -> list[Any]:
    """Everything that the vendors hold, but for what nothing was ever done to."""
    kinds = (("anthropic", "api_key"), ("openai", "spend_limit"), ("athena", "workgroup"))
    found = [outside.world.documents(service, kind) for service, kind in kinds]
    return found + [outside.world.documents("iam", kind) for kind in ("access_key", "credential", "role")]


@ALL
async def test_it_is_disabled_and_comes_back_as_it_was_however_often_each_is_done(outside: Outside, make: Make) -> None:
    actuator = await make(outside)
    targets = await actuator.plan_targets({})
    before = held(outside)
    assert (len(targets), actuator.grade) == (2, Grade.G3)
    for _ in range(2):
        for target in targets:
            await actuator.stop(target)
            assert await actuator.status(target) == "stopped"
    assert await actuator.plan_targets({}) == []
    for _ in range(2):
        for target in targets:
            await actuator.restore(target)
            assert await actuator.status(target) == "running"
    after = held(outside)
    new = [one for one, had in zip(after, before, strict=True) if one != had]
    assert new in ([], [UNTOUCHED_KEYS], [UNTOUCHED_GROUPS])


UNTOUCHED_KEYS = [{"status": "active", "name": f"key {name}"} for name in RED]
UNTOUCHED_GROUPS = [{"state": "ENABLED"}] * 2
"""How the sandbox writes down what it was not asked about before."""


@ALL
async def test_a_scope_takes_what_is_said_of_it_and_what_is_not_named_is_refused(outside: Outside, make: Make) -> None:
    actuator = await make(outside)
    assert len(await actuator.plan_targets({"team": "red"})) == 1
    assert await actuator.plan_targets({"key": "ci-bot"}) == []
    stranger = Target(kind=actuator.kind, id="decoy", name="decoy", saved={"cents": "1"})
    for act in (actuator.stop, actuator.restore):
        with pytest.raises(BadInput):
            await act(stranger)


@ALL
async def test_a_lost_answer_leads_to_a_right_second_try(outside: Outside, make: Make) -> None:
    actuator = await make(outside)
    targets = await actuator.plan_targets({"team": "red"})
    services = ("anthropic", "openai", "iam", "athena")
    for service in services:
        outside.world.put_fault(service, Fault(mode=Mode.LOST, count=1))
    with pytest.raises(ServiceError) as lost:
        await actuator.stop(targets[0])
    assert lost.value.retryable
    await actuator.stop(targets[0])
    assert await actuator.status(targets[0]) == "stopped"


async def test_a_key_that_was_archived_is_not_claimed_to_be_back(outside: Outside) -> None:
    keys = claude(outside, {"apikey_1": {}})
    (target,) = await keys.plan_targets({"provider": "anthropic"})
    await keys.stop(target)
    admin = {"x_api_key": "sk-ant-admin01-test"}
    await outside.ask("POST", "/anthropic/v1/organizations/api_keys/apikey_1", {"status": "archived"}, **admin)
    with pytest.raises(BadInput):
        await keys.restore(target)
    assert await keys.status(target) == "gone"
    assert await claude(outside, {"missing_1": {}}).plan_targets({}) == []


async def test_a_key_that_may_not_do_it_is_named_by_the_vendors_word_and_never_shown(outside: Outside) -> None:
    with pytest.raises(ServiceError, match="403 permission_error") as refused:
        await claude(outside, {"apikey_1": {}}, admin="sk-ant-api03-canary").plan_targets({})
    assert (refused.value.retryable, "canary" in str(refused.value)) == (False, False)


async def test_a_limit_that_somebody_set_during_the_stop_is_not_overwritten(outside: Outside) -> None:
    actuator = spend(outside, {"proj_1": {}, "organization": {}})
    target, whole = await actuator.plan_targets({"service": "openai"})
    await actuator.stop(target)
    await actuator.stop(whole)
    path = "/openai/v1/organization/projects/proj_1/spend_limit"
    await outside.ask("POST", path, LIMIT, authorization="Bearer x")
    with pytest.raises(BadInput):
        await actuator.restore(target)
    await actuator.restore(whole)
    assert outside.world.documents("openai", "spend_limit") == [{"cents": 50_000}]


async def test_a_role_is_denied_what_costs_money_and_nothing_else(outside: Outside) -> None:
    actuator = await _roles(outside)
    for target in await actuator.plan_targets({"provider": "aws"}):
        await actuator.stop(target)
    found = await iam(outside, "get_role_policy", RoleName="red", PolicyName=POLICY)
    (statement,) = found["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", list(DENIED))
    with pytest.raises(ServiceError):
        await iam(outside, "get_role_policy", RoleName="decoy", PolicyName=POLICY)


async def test_a_disabled_workgroup_takes_no_query(outside: Outside) -> None:
    actuator = await _groups(outside)
    (target, _) = await actuator.plan_targets({"service": "athena"})
    await actuator.stop(target)
    for group, taken in (("red", False), ("decoy", True)):
        request = {"QueryString": "SELECT 1", "WorkGroup": group}
        asking = clients().call(
            "athena", "athena", "start_query_execution", request, region="", endpoint=f"{outside.url}/athena"
        )
        if taken:
            assert (await asking)["QueryExecutionId"]
        else:
            with pytest.raises(ServiceError):
                await asking


async def test_requests_and_answers_keep_the_vendors_contracts(outside: Outside, shared: Path) -> None:
    key = await outside.ask("GET", "/anthropic/v1/organizations/api_keys/apikey_1", x_api_key="sk-ant-admin01-test")
    assert BetaAPIKey.model_validate_json(key.body).status == "active"
    actuator = spend(outside, {"proj_1": {}})
    (target,) = await actuator.plan_targets({})
    await actuator.stop(target)
    path = "/openai/v1/organization/projects/proj_1/spend_limit"
    shown = await outside.ask("GET", path, authorization="Bearer x")
    assert ProjectSpendLimit.model_validate_json(shown.body).enforcement.status == "enforcing"
    assert (
        Contract.of(shared, "openai", "project_spend_limit_set.200", "responses").breaches(orjson.loads(shown.body))
        == []
    )
    (sent,) = [one for one in outside.sent if one.method == "POST"]
    assert Contract.of(shared, "openai", "project_spend_limit_set").breaches(orjson.loads(sent.body)) == []
    gone = await outside.ask("DELETE", path, authorization="Bearer x")
    assert ProjectSpendLimitDeleted.model_validate_json(gone.body).deleted
    update = {"WorkGroup": "red", "State": "DISABLED"}
    assert Contract.of(shared, "aws_athena", "UpdateWorkGroup").breaches(update) == []
