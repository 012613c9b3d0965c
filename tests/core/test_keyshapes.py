"""Claims about what looks like a key."""

import pytest

from aegis.core.keyshapes import mask_keys, names_a_secret

R20 = "aB3dE6gH9jK2mN5pQ8sT"


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-ant-api03-{R20}", f"sk-proj-{R20}", f"xoxb-1234567890-{R20}", "AKIAIOSFODNN7EXAMPLE", f"ghp_{R20}{R20}",
        f"AIza{R20}{R20[:15]}", f"ATATT3{R20}", f"SG.{R20}.{R20}", f"aeg_live_a1b2c3d4_{R20}{R20}", f"eyJhbGciOiJIUzI1NiJ9.{R20}.{R20}",
        f"-----BEGIN PRIVATE KEY-----\n{R20}\n-----END PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_a_key_is_masked_and_what_stands_around_it_is_not(secret: str) -> None:
    assert mask_keys(f"before {secret} after") == "before *** after"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"https://hooks.slack.com/services/T0/B0/{R20} failed", "https://hooks.slack.com/services/*** failed"),
        (f"https://discord.com/api/webhooks/123/{R20}", "https://discord.com/api/webhooks/***"),
        (
            f"https://x.westeurope.logic.azure.com:443/workflows/{R20}?sig=a",
            "https://x.westeurope.logic.azure.com:443/***",
        ),
        (f"https://{R20}@o1.ingest.sentry.io/5", "https://***@o1.ingest.sentry.io/5"),
        ("postgresql://aegis:pw@db/x", "postgresql://***@db/x"),
        (f"Authorization: Bearer {R20}", "Authorization: Bearer ***"),
        (f"GET /x?a=1&token={R20}&b=2", "GET /x?a=1&token=***&b=2"),
    ],
)
def test_a_value_beside_its_mark_is_masked(text: str, masked: str) -> None:
    assert mask_keys(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "10.0.0.1 said 42 basic things, token by token",
        "ask-questions-about-the-basic-setup",
    ],
)
def test_hashes_and_prose_stay(text: str) -> None:
    assert mask_keys(text) == text


def test_names_of_fields_that_hold_secrets() -> None:
    yes = (
        "key",
        "token",
        "x-api-key",
        "API_KEY",
        "db.password",
        "SLACK_BOT_TOKEN",
        "routing_key",
        "webhook",
        "sentry_dsn",
        "Authorization",
    )
    no = ("input_tokens", "tokens", "key_id", "cache_key", "keyboard", "secretary", "channel", "dedup_key")
    assert [name for name in yes if not names_a_secret(name)] == []
    assert [name for name in no if names_a_secret(name)] == []
