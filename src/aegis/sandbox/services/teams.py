"""Microsoft Teams: a Workflows address that takes an Adaptive Card and answers 202 (Microsoft Learn: post a workflow when
a webhook request is received in Teams; Adaptive Cards schema 1.5). There is no handle: a card cannot be changed later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aegis.sandbox.checks import Inspector, names
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service

BODY_MAX = 28 * 1024
"""Microsoft Learn, limits of messages by webhooks: 28 KB."""

DEPTH_MAX = 10
CARD_TYPE = "application/vnd.microsoft.card.adaptive"
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5")
ELEMENTS = names(
    """TextBlock RichTextBlock TextRun Container ColumnSet Column FactSet Image ImageSet ActionSet Table TableRow TableCell
    Media Input.Text Input.Number Input.Date Input.Time Input.Toggle Input.ChoiceSet"""
)
ACTIONS = names("Action.OpenUrl Action.ShowCard Action.ToggleVisibility")
"""What works in a card that no bot stands behind."""


def answer(asked: Asked, room: Room) -> Reply:
    if "/workflows/" not in f"{asked.path}/":
        return _no(404, "WorkflowNotFound", "no such path")
    if asked.method != "POST":
        return _no(405, "MethodNotAllowed", f"{asked.method} on a workflow")
    if len(asked.body) > BODY_MAX:
        return _no(413, "RequestEntityTooLarge", f"{len(asked.body)} bytes; a message has at most {BODY_MAX}")
    try:
        message = Inspector(asked.json())
    except Unreadable as error:
        return _no(400, "InvalidRequestContent", str(error))
    _check(message)
    if message.problems:
        return _no(400, "TriggerInputSchemaMismatch", str(message.problems[0]))
    number = room.next("card")
    text = _first_text(message.held["attachments"][0]["content"]["body"])
    room.put("card", str(number), {"text": text})
    return Reply(status=202, headers={"x-ms-workflow-run-id": f"{number:032d}"}, line=text)


def _no(status: int, code: str, why: str) -> Reply:
    return reply_json(status, {"error": {"code": code, "message": why}}, refused=why)


def _check(message: Inspector) -> None:
    message.only({"type", "attachments", "summary"})
    message.text("type", required=True, one_of=("message",))
    for attachment in message.objects("attachments", required=True, least=1):
        attachment.only({"contentType", "contentUrl", "content", "name"})
        attachment.text("contentType", required=True, one_of=(CARD_TYPE,))
        card = attachment.child("content", required=True)
        if card is None:
            continue
        card.text("type", required=True, one_of=("AdaptiveCard",))
        card.text("version", required=True, one_of=VERSIONS)
        for element in card.objects("body", required=True, least=1):
            _element(element, 0)
        _actions(card)


def _actions(holder: Inspector) -> None:
    for action in holder.objects("actions"):
        kind = action.text("type", required=True, one_of=ACTIONS)
        action.text("title")
        if kind == "Action.OpenUrl":
            action.text("url", required=True, pattern=r"https?://\S+")


def _element(element: Inspector, depth: int) -> None:
    if depth > DEPTH_MAX:
        element.wrong("type", "is nested too deeply")
        return
    kind = element.text("type", required=True, one_of=ELEMENTS)
    if kind in ("TextBlock", "TextRun"):
        element.text("text", required=True)
    elif kind == "FactSet":
        for fact in element.objects("facts", required=True):
            fact.text("title", required=True)
            fact.text("value", required=True)
    elif kind == "ActionSet":
        _actions(element)
    elif kind == "RichTextBlock":
        for run in element.items("inlines", required=True, least=1):
            if not isinstance(run, str):
                _element(Inspector(run, element.at("inlines"), element.problems), depth + 1)
    for inside in ("items", "columns", "rows", "cells"):
        for child in element.objects(inside):
            if kind != "ColumnSet" or "type" in child.held:
                _element(child, depth + 1)


def _first_text(elements: Any, depth: int = 0) -> str:
    """What a person sees first on the card."""
    for element in elements if isinstance(elements, list) and depth < DEPTH_MAX else ():
        if isinstance(element, str):
            return clip(element)
        if isinstance(element.get("text"), str):
            return clip(element["text"])
        for inside in ("inlines", "items", "columns"):
            found = _first_text(element.get(inside), depth + 1)
            if found:
                return found
    return ""


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    codes = {401: "DirectApiAuthorizationRequired", 429: "WorkflowTriggerThrottled", 503: "ServiceUnavailable"}
    code = codes.get(status, "InternalServerError")
    return reply_json(status, {"error": {"code": code, "message": "The sandbox was told to fail"}}, headers=wait)


def secrets(asked: Asked) -> Iterable[str]:
    """The signature in the query; an address without one is secret by its end."""
    if "sig" not in asked.query:
        yield asked.path.rpartition("/")[2]


SERVICE = Service(name="teams", answer=answer, failure=failure, secrets=secrets)
