"""Discord's limits on a webhook message, and its way to name what is wrong as a tree of errors (docs.discord.com: webhook
resource, message resource embed limits, error messages).
"""

from __future__ import annotations

from typing import Any

from aegis.sandbox.checks import Inspector, Problem, names

CONTENT_MAX, EMBEDS_MAX, EMBED_TOTAL_MAX = 2_000, 10, 6_000
TITLE_MAX, DESCRIPTION_MAX, FIELDS_MAX, FIELD_NAME_MAX, FIELD_VALUE_MAX = 256, 4_096, 25, 256, 1_024
FOOTER_MAX, AUTHOR_MAX, URL_MAX, COLOR_MAX, USERNAME_MAX = 2_048, 256, 2_048, 0xFFFFFF, 80
FIELDS = names(
    """content username avatar_url tts embeds allowed_mentions components attachments flags thread_name applied_tags poll
    payload_json"""
)
CODES = {
    "required": "BASE_TYPE_REQUIRED",
    "type": "BASE_TYPE_BAD_TYPE",
    "too_long": "BASE_TYPE_MAX_LENGTH",
    "too_many": "BASE_TYPE_MAX_LENGTH",
    "enum": "BASE_TYPE_CHOICES",
    "range": "NUMBER_TYPE_MAX",
    "pattern": "URL_TYPE_INVALID_URL",
}


def check_message(message: Inspector) -> None:
    """Every problem of a message."""
    message.only(FIELDS)
    message.text("content", longest=CONTENT_MAX)
    message.text("username", longest=USERNAME_MAX)
    message.text("avatar_url", longest=URL_MAX)
    message.flag("tts")
    mentions = message.child("allowed_mentions")
    if mentions is not None:
        for number, kind in enumerate(mentions.texts("parse")):
            if kind not in ("roles", "users", "everyone"):
                mentions.wrong(f"parse.{number}", "must be roles, users or everyone", "enum")
    embeds = message.objects("embeds", most=EMBEDS_MAX)
    total = sum(_embed(embed) for embed in embeds)
    if total > EMBED_TOTAL_MAX:
        message.wrong("embeds", f"Embed size exceeds maximum size of {EMBED_TOTAL_MAX}", "too_long", EMBED_TOTAL_MAX)


def _embed(embed: Inspector) -> int:
    """Check an embed; returns the characters that count towards the total."""
    size = len(embed.text("title", longest=TITLE_MAX)) + len(embed.text("description", longest=DESCRIPTION_MAX))
    embed.text("url", longest=URL_MAX, pattern=r"https?://\S+")
    embed.whole("color", least=0, most=COLOR_MAX)
    for field in embed.objects("fields", most=FIELDS_MAX):
        size += len(field.text("name", required=True, longest=FIELD_NAME_MAX))
        size += len(field.text("value", required=True, longest=FIELD_VALUE_MAX))
        field.flag("inline")
    footer, author = embed.child("footer"), embed.child("author")
    if footer is not None:
        size += len(footer.text("text", required=True, longest=FOOTER_MAX))
    if author is not None:
        size += len(author.text("name", required=True, longest=AUTHOR_MAX))
    return size


def error_tree(problems: list[Problem]) -> dict[str, Any]:
    """The problems as Discord nests them."""
    tree: dict[str, Any] = {}
    for problem in problems:
        node = tree
        for part in problem.path.split("."):
            node = node.setdefault(part, {})
        said = {"code": CODES.get(problem.kind, "INVALID"), "message": problem.message}
        node.setdefault("_errors", []).append(said)
    return tree
