"""The AWS clients that the cost optimiser works with, one attempt each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core.errors import ConfigError
from aegis.transport.aws import make_client

NAMES = ("athena", "bedrock-runtime", "s3", "cloudwatch", "freetier")
AT_HOME = {"freetier": "us-east-1"}
"""Services that have one address for all regions (AWS general reference, Free Tier API endpoints)."""


def create_aws_clients(region_name: str | None = None) -> dict[str, Any]:
    """A client for each service by boto3's name; region and credentials from boto3's usual places.

    Raises `ConfigError` when boto3 is not installed or no region is known.
    """
    return {name: make_client(name, region=AT_HOME.get(name, region_name)) for name in NAMES}


def client_of(clients: Mapping[str, Any], name: str) -> Any:
    """The client called `bedrock-runtime` or `bedrock_runtime`. Raises `ConfigError` when there is none."""
    for spelling in (name, name.replace("-", "_"), name.partition("-")[0]):
        if clients.get(spelling) is not None:
            return clients[spelling]
    raise ConfigError(f"aws_clients holds no {name!r} client; create_aws_clients() makes all of them")
