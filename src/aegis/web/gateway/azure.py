"""Azure OpenAI's dated API: the deployment stands in the path, the version in the query, and tiers are the deployment's.

learn.microsoft.com, Azure OpenAI: REST API reference, data plane. Its undated API is OpenAI's own and needs none of this.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from aegis.core.metering.bounds import Bounded
from aegis.web.gateway.refusals import Refusal

DEPLOYED: Final = (b"/v1/chat/completions", b"/v1/embeddings")
"""What a deployment is asked for."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A deployment's name (learn.microsoft.com: create a resource and deploy a model)."""


def deployment_path(path: bytes, model: str, version: str) -> bytes:
    """Where the deployment of a model is asked. Raises `Refusal` for what it cannot be asked, and for a name that is none."""
    if path not in DEPLOYED:
        raise Refusal(404, "a deployment of Azure's is asked for chats and embeddings only", code="no_upstream")
    if not _NAME.fullmatch(model):
        raise Refusal(400, "this is no deployment of Azure's", code="bad_model")
    operation = path.removeprefix(b"/v1")
    return b"/openai/deployments/%b%b?api-version=%b" % (model.encode(), operation, version.encode())


def without_tier(bounded: Bounded) -> Bounded:
    """The request without the tier that is put into OpenAI's own: here it goes with the deployment."""
    if bounded.tier or "service_tier" not in bounded.body:
        return bounded
    body = {name: value for name, value in bounded.body.items() if name != "service_tier"}
    return bounded._replace(body=body, raw=orjson.dumps(body))
