"""Slack's limits on blocks and attachments (docs.slack.dev, reference: block kit, composition objects)."""

from __future__ import annotations

from aegis.sandbox.checks import Inspector

BLOCKS_MAX, ATTACHMENTS_MAX = 50, 100
ID_MAX, HEADER_MAX, SECTION_MAX, BUTTON_MAX, VALUE_MAX, URL_MAX = 255, 150, 3_000, 75, 2_000, 3_000
FIELDS_MAX, FIELD_MAX, CONTEXT_MAX, ACTIONS_MAX = 10, 2_000, 10, 25

BLOCK_TYPES = frozenset(
    {"header", "section", "context", "actions", "divider", "image", "rich_text", "input", "video", "markdown", "table"}
)
BOTH = ("plain_text", "mrkdwn")


def check_message(message: Inspector) -> None:
    """The blocks and attachments of a message."""
    for block in message.objects("blocks", most=BLOCKS_MAX):
        _block(block)
    for attachment in message.objects("attachments", most=ATTACHMENTS_MAX):
        attachment.text("color", pattern=r"#?[0-9a-fA-F]{6}|good|warning|danger")
        for block in attachment.objects("blocks", most=BLOCKS_MAX):
            _block(block)


def _block(block: Inspector) -> None:
    kind = block.text("type", required=True, one_of=BLOCK_TYPES)
    block.text("block_id", longest=ID_MAX)
    if kind == "header":
        _text(block, "text", longest=HEADER_MAX, types=("plain_text",))
    elif kind == "section":
        _section(block)
    elif kind == "context":
        for element in block.objects("elements", required=True, least=1, most=CONTEXT_MAX):
            if element.text("type", required=True, one_of=(*BOTH, "image")) in BOTH:
                element.text("text", required=True, longest=SECTION_MAX)
    elif kind == "actions":
        for element in block.objects("elements", required=True, least=1, most=ACTIONS_MAX):
            _element(element)
    elif kind == "image":
        block.text("image_url", longest=URL_MAX)
        block.text("alt_text", required=True, longest=VALUE_MAX)


def _section(block: Inspector) -> None:
    if "text" not in block.held and "fields" not in block.held:
        block.wrong("text", "is required where there are no fields", "required")
    if "text" in block.held:
        _text(block, "text", longest=SECTION_MAX, types=BOTH)
    for field in block.objects("fields", most=FIELDS_MAX):
        field.text("type", required=True, one_of=BOTH)
        field.text("text", required=True, longest=FIELD_MAX)
    accessory = block.child("accessory")
    if accessory is not None:
        _element(accessory)


def _element(element: Inspector) -> None:
    kind = element.text("type", required=True)
    element.text("action_id", longest=ID_MAX)
    if kind == "button":
        _text(element, "text", longest=BUTTON_MAX, types=("plain_text",))
        element.text("value", longest=VALUE_MAX)
        element.text("url", longest=URL_MAX)
        element.text("style", one_of=("primary", "danger"))


def _text(holder: Inspector, key: str, *, longest: int, types: tuple[str, ...]) -> None:
    text = holder.child(key, required=True)
    if text is not None:
        text.text("type", required=True, one_of=types)
        text.text("text", required=True, longest=longest)
