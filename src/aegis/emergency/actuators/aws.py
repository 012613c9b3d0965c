"""What a stop does at AWS: access keys and Bedrock keys made inactive, roles denied, Athena workgroups disabled.

Policy: only what the configuration names; nothing is deleted but the deny policy that we put there ourselves. Sources:
IAM API (UpdateAccessKey, UpdateServiceSpecificCredential, PutRolePolicy), Athena API (UpdateWorkGroup).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aegis.core.errors import BadInput, ConfigError, ServiceError
from aegis.core.outlets import AwsCalls
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.emergency.actuators.scopes import within

Owns = Mapping[str, Mapping[str, str]]
"""Ids, each with what a scope may say about it."""
POLICY: Final = "AegisStop"
DENIED: Final = (
    "bedrock:InvokeModel*",
    "bedrock:Converse*",
    "bedrock:CreateModelInvocationJob",
    "athena:StartQueryExecution",
)
"""What costs money by the call: a role keeps everything else, logs and metrics too."""
_DOCUMENT: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": POLICY, "Effect": "Deny", "Action": list(DENIED), "Resource": "*"}],
}


class _Account:
    """Calls of one AWS service. `endpoint` and `region` may be empty: boto3's own."""

    def __init__(self, aws: AwsCalls, client: str, *, region: str, endpoint: str) -> None:
        self._aws, self._client, self._region, self._endpoint = aws, client, region, endpoint

    async def __call__(self, operation: str, **request: Any) -> Mapping[str, Any] | None:
        """The answer; None for something that is not there. Raises `ServiceError`."""
        try:
            return await self._aws.call(
                self._client, self._client, operation, request, region=self._region, endpoint=self._endpoint
            )
        except ConfigError as error:
            raise ServiceError(self._client, str(error), retryable=False) from error
        except ServiceError as error:
            if error.status == 404:
                return None
            raise


class AwsKeys:
    """`keys` are `user/AKIA...` for access keys and `user/ACCA...` for Bedrock API keys (service specific credentials)."""

    kind: Final = "aws-keys"
    grade: Final = Grade.G3

    def __init__(self, aws: AwsCalls, *, keys: Owns, region: str = "", endpoint: str = "") -> None:
        self._iam, self._keys = _Account(aws, "iam", region=region, endpoint=endpoint), keys

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The named keys of the scope that are active. Raises `ServiceError`."""
        found = [name for name, own in self._keys.items() if within(scope, {"provider": "aws", **own})]
        return [Target(kind=self.kind, id=name, name=name) for name in found if await self._look(name) == "Active"]

    async def stop(self, target: Target) -> None:
        """Make it inactive. Raises `BadInput`, `ServiceError`."""
        if await self._look(_named(target, self._keys)) == "Active":
            await self._set(target.id, "Inactive")

    async def restore(self, target: Target) -> None:
        """Make it active again. Raises `BadInput` when it was deleted, and `ServiceError`."""
        status = await self._look(_named(target, self._keys))
        if status == "Inactive":
            await self._set(target.id, "Active")
        elif status != "Active":
            raise BadInput(f"the key {target.name} was deleted: make a new one", code="gone")

    async def status(self, target: Target) -> TargetState:
        states: Mapping[str, TargetState] = {"Active": "running", "Inactive": "stopped"}
        return states.get(await self._look(_named(target, self._keys)), "gone")

    async def _look(self, name: str) -> str:
        """`Active`, `Inactive`, or empty when there is none such."""
        user, _, key = name.partition("/")
        if key.startswith("ACCA"):
            found = await self._iam("list_service_specific_credentials", UserName=user)
            listed, field = (found or {}).get("ServiceSpecificCredentials", ()), "ServiceSpecificCredentialId"
        else:
            found = await self._iam("list_access_keys", UserName=user)
            listed, field = (found or {}).get("AccessKeyMetadata", ()), "AccessKeyId"
        return next((str(one.get("Status")) for one in listed if one.get(field) == key), "")

    async def _set(self, name: str, status: str) -> None:
        user, _, key = name.partition("/")
        if key.startswith("ACCA"):
            operation, field = "update_service_specific_credential", "ServiceSpecificCredentialId"
        else:
            operation, field = "update_access_key", "AccessKeyId"
        await self._iam(operation, **{"UserName": user, field: key, "Status": status})


class AwsRoles:
    """Roles that are denied what costs money by an inline policy of ours, for as long as the stop holds."""

    kind: Final = "aws-roles"
    grade: Final = Grade.G3

    def __init__(self, aws: AwsCalls, *, roles: Owns, region: str = "", endpoint: str = "") -> None:
        self._iam, self._roles = _Account(aws, "iam", region=region, endpoint=endpoint), roles

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The named roles of the scope that exist and are not denied yet. Raises `ServiceError`."""
        found = [name for name, own in self._roles.items() if within(scope, {"provider": "aws", **own})]
        targets = [Target(kind=self.kind, id=name, name=name) for name in found]
        return [target for target in targets if await self.status(target) == "running"]

    async def stop(self, target: Target) -> None:
        """Put the policy there. Raises `BadInput`, and `ServiceError` (also when there is no such role)."""
        name = _named(target, self._roles)
        if (
            await self._iam("put_role_policy", RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(_DOCUMENT))
            is None
        ):
            raise BadInput(f"there is no role {name} any more", code="gone")

    async def restore(self, target: Target) -> None:
        """Take our policy away. Raises `BadInput`, `ServiceError`."""
        await self._iam("delete_role_policy", RoleName=_named(target, self._roles), PolicyName=POLICY)

    async def status(self, target: Target) -> TargetState:
        name = _named(target, self._roles)
        if await self._iam("get_role", RoleName=name) is None:
            return "gone"
        held = await self._iam("get_role_policy", RoleName=name, PolicyName=POLICY)
        return "running" if held is None else "stopped"


class AthenaWorkgroups:
    """Workgroups that take no more queries; what runs ends by itself."""

    kind: Final = "athena-workgroups"
    grade: Final = Grade.G3

    def __init__(self, aws: AwsCalls, *, workgroups: Owns, region: str = "", endpoint: str = "") -> None:
        self._athena, self._groups = _Account(aws, "athena", region=region, endpoint=endpoint), workgroups

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The named workgroups of the scope that take queries. Raises `ServiceError`."""
        about = {"service": "athena", "provider": "aws"}
        found = [name for name, own in self._groups.items() if within(scope, {**about, **own})]
        return [Target(kind=self.kind, id=name, name=name) for name in found if await self._look(name) == "ENABLED"]

    async def stop(self, target: Target) -> None:
        """Disable it. Raises `BadInput`, `ServiceError`."""
        if await self._look(_named(target, self._groups)) != "DISABLED":
            await self._athena("update_work_group", WorkGroup=target.id, State="DISABLED")

    async def restore(self, target: Target) -> None:
        """Enable it. Raises `BadInput`, `ServiceError`."""
        if await self._look(_named(target, self._groups)) != "ENABLED":
            await self._athena("update_work_group", WorkGroup=target.id, State="ENABLED")

    async def status(self, target: Target) -> TargetState:
        states: Mapping[str, TargetState] = {"ENABLED": "running", "DISABLED": "stopped"}
        return states.get(await self._look(_named(target, self._groups)), "unknown")

    async def _look(self, name: str) -> str:
        found = await self._athena("get_work_group", WorkGroup=name)
        return str((found or {}).get("WorkGroup", {}).get("State", ""))


def _named(target: Target, owns: Owns) -> str:
    if target.id not in owns:
        raise BadInput(f"{target.name} is not named in the configuration any more", code="not_ours")
    return target.id
