"""Programs of a story: they ask a model through the governor, as any program of a team does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from aegis.app import App
from aegis.core.calls import Call, Priority
from aegis.core.errors import Refused, ServiceError
from aegis.core.money import Nanos
from aegis.core.ports import Analyst, ModelRequest

SMALL, LARGE = "claude-haiku-5-5", "claude-sonnet-5-5"
SCHEMA: Final = {
    "type": "object",
    "properties": {"story": {"type": "string"}},
    "required": ["story"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program: whose key it uses, for which team, and what it asks (each time the same)."""

    key: str
    team: str
    prompt: str
    model: str = LARGE
    output_tokens_max: int = 800
    priority: Priority = Priority.LOW


@dataclass(frozen=True, slots=True)
class Asked:
    """How one call went: its cost where it was made, the gate that refused it, whether the service failed."""

    cost: Nanos = 0
    refused: str = ""
    failed: bool = False

    @property
    def made(self) -> bool:
        return not (self.refused or self.failed)


async def ask(app: App, vendor: Analyst, program: Program) -> Asked:
    """One model call of a program, governed like any other."""
    request = ModelRequest(
        model=program.model,
        system="You are a storyteller.",
        user=program.prompt,
        schema=SCHEMA,
        output_tokens_max=program.output_tokens_max,
    )
    call = Call(
        id=app.new_id("call"),
        service="anthropic",
        operation="messages",
        models=(program.model,),
        worst=vendor.worst(request),
        scope={"purpose": "program", "key": program.key, "team": program.team},
        priority=program.priority,
    )
    try:
        async with app.governor.admit(call) as reservation:
            answer = await vendor.complete(replace(request, model=reservation.model))
            reservation.settle(answer.usage)
    except Refused as refusal:
        return Asked(refused=refusal.gate)
    except ServiceError:
        return Asked(failed=True)
    return Asked(cost=reservation.cost)
