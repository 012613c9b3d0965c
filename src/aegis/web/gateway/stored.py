"""Files and batches: what a program keeps with a vendor through the gateway. Every key sees its own and no other's.

Policy: a file is the input of a batch or what came of one, for whatever else is read from it later is bounded by no
request; a batch is held whole before it is made and counted by its results, whoever looks first.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
import orjson
from starlette.types import Receive, Send

from aegis.app.gateway import GatewayParts, Kind, Upstream
from aegis.app.keyring import Grant
from aegis.core.errors import BadInput, Billed, ServiceError
from aegis.core.money import format_usd
from aegis.core.ports import Clock, NewId
from aegis.governor.governor import Governor
from aegis.stores.batches import StoredBatch, StoredFile
from aegis.transport.relay import Answer
from aegis.web.gateway.asked import Asked, Bodies, read_json, read_raw
from aegis.web.gateway.doorman import Doorman
from aegis.web.gateway.headers import down, up
from aegis.web.gateway.holds import Held, Holds
from aegis.web.gateway.lines import Lines, anthropic_lines, openai_lines
from aegis.web.gateway.listed import page, query_of
from aegis.web.gateway.looks import Looks, now_ms
from aegis.web.gateway.multipart import read_form, write_form
from aegis.web.gateway.refusals import PASSED_STATUS, Head, Refusal, Shape
from aegis.web.gateway.vendors import JSON, ask, batch_path, document_of, has_ended, head_of

STORED: Final = (b"/v1/files", b"/v1/batches", b"/v1/messages/batches")
FILES_MAX: Final = 1_000
"""Files of one key: what a list looks through."""
STALLED_SECONDS: Final = 60
"""A program that takes nothing of its results for a minute has left."""
CREATE: Final = frozenset({"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"})
FORM: Final = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_ID = rb"/([A-Za-z0-9_-]{1,128})"


@dataclass(frozen=True, slots=True)
class Made:
    """What is answered: a status, the headers and either a whole body or an upstream's answer to pass on."""

    status: int
    head: Head
    body: bytes = b""
    passing: Answer | None = None


@dataclass(slots=True)
class _Task:
    """One request on its way. `id` is what the path names; `receive` and `send` are the program's connection."""

    call: str
    asked: Asked
    grant: Grant
    receive: Receive
    id: str = ""

    @property
    def owner(self) -> str:
        return self.grant.key.name


Handler = Callable[[_Task], Awaitable[Made]]


class Stored:
    """Serves everything under `STORED`."""

    def __init__(self, parts: GatewayParts, governor: Governor, *, room: Bodies, clock: Clock, new_id: NewId) -> None:
        self._parts, self._store, self._clock, self._new_id = parts, parts.batches, clock, new_id
        self._doorman, self._room = Doorman(parts.keys, clock), room
        self._holds = Holds(governor, parts.batches)
        self.looks = Looks(parts, self._holds, parts.batches, clock)
        self._routes: tuple[tuple[str, re.Pattern[bytes], str, Handler], ...] = (
            ("POST", re.compile(rb"/v1/files"), "files", self._upload),
            ("GET", re.compile(rb"/v1/files"), "files", self._files),
            ("GET", re.compile(rb"/v1/files" + _ID), "files", self._file),
            ("GET", re.compile(rb"/v1/files" + _ID + rb"/content"), "files", self._content),
            ("DELETE", re.compile(rb"/v1/files" + _ID), "files", self._delete),
            ("POST", re.compile(rb"/v1/batches"), "batches", self._create),
            ("GET", re.compile(rb"/v1/batches"), "batches", self._batches),
            ("GET", re.compile(rb"/v1/batches" + _ID), "batches", self._batch),
            ("POST", re.compile(rb"/v1/batches" + _ID + rb"/cancel"), "batches", self._cancel),
            ("POST", re.compile(rb"/v1/messages/batches"), "messages.batches", self._create_messages),
            ("GET", re.compile(rb"/v1/messages/batches"), "messages.batches", self._batches),
            ("GET", re.compile(rb"/v1/messages/batches" + _ID), "messages.batches", self._batch),
            ("DELETE", re.compile(rb"/v1/messages/batches" + _ID), "messages.batches", self._delete_batch),
            ("POST", re.compile(rb"/v1/messages/batches" + _ID + rb"/cancel"), "messages.batches", self._cancel),
            ("GET", re.compile(rb"/v1/messages/batches" + _ID + rb"/results"), "messages.batches", self._results),
        )

    async def serve(self, asked: Asked, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `AegisError`, before anything is sent."""
        name, handler, named = self._route(asked)
        grant = self._doorman.admit(asked, name)
        self._doorman.take_turn(grant)
        call = self._new_id("call")
        grant.running += 1
        try:
            made = await handler(_Task(call, asked, grant, receive, named))
        finally:
            grant.running -= 1
        head = [*made.head, (b"x-aegis-call", call.encode()), *self._doorman.rate_head(grant)]
        await _send(send, made, head)

    def _route(self, asked: Asked) -> tuple[str, Handler, str]:
        wrong_method = False
        for method, path, name, handler in self._routes:
            if found := path.fullmatch(asked.path):
                if method == asked.method:
                    return name, handler, found[1].decode() if found.groups() else ""
                wrong_method = True
        if wrong_method:
            raise Refusal(405, "the gateway does not serve this method here", code="method_not_allowed")
        raise Refusal(404, "the gateway does not serve this path", code="unknown_url")

    # --- files -------------------------------------------------------------------------------------------------

    async def _upload(self, task: _Task) -> Made:
        if await self._store.count_files(task.owner) >= FILES_MAX:
            raise Refusal(403, f"this key keeps {FILES_MAX} files already: delete some", code="too_many_files")
        body = await read_raw(task.asked, task.receive, self._room)
        form = read_form(task.asked.headers.get(b"content-type", b""), body)
        if unknown := form.fields.keys() - FORM:
            raise BadInput(f"the form field {min(unknown)[:64]!r} is not known to the gateway", code="unknown_field")
        if form.fields.get("purpose") != "batch":
            why = "what is read from it later is bounded by no request; send it within the request"
            raise Refusal(403, f"the gateway takes files of purpose batch only: {why}", code="not_governed")
        lines = await anyio.to_thread.run_sync(openai_lines, form.content, self._parts, task.grant, self._holds.price)
        kind, raw = write_form(self._new_id("part"), form.fields, form.name, lines.raw)
        head = [*head_of(lines.upstream), (b"content-type", kind)]
        answer, told = await ask(lines.upstream, b"POST", b"/v1/files", head, raw)
        document = _taken(lines.upstream, answer, told)
        if isinstance(document, Made):
            return document
        await self._store.add_file(
            StoredFile(
                upstream=lines.upstream.settings.name,
                id=document["id"],
                owner=task.owner,
                made_ms=now_ms(self._clock),
                document=document,
                url=lines.url,
                lines=lines.lines,
            )
        )
        return Made(200, down(answer), told)

    async def _files(self, task: _Task) -> Made:
        files = [file.document for file in await self._store.files(task.owner)]
        query = query_of(task.asked, ("purpose", "limit", "after", "order"))
        if purpose := query.get("purpose"):
            files = [one for one in files if one.get("purpose") == purpose]
        if query.get("order") == "asc":
            files.reverse()
        return Made(200, [JSON], page(files, query, most=10_000))

    async def _file(self, task: _Task) -> Made:
        file = await self._own_file(task)
        return Made(200, [JSON], orjson.dumps(file.document))

    async def _content(self, task: _Task) -> Made:
        file = await self._own_file(task)
        return await self._passed(self._at(file.upstream), b"/v1/files/%b/content" % file.id.encode())

    async def _delete(self, task: _Task) -> Made:
        file = await self._own_file(task)
        upstream = self._at(file.upstream)
        answer, told = await ask(upstream, b"DELETE", b"/v1/files/%b" % file.id.encode(), head_of(upstream))
        if answer.status not in (200, 404):
            return _refused(upstream, answer, told)
        await self._store.drop_file(file.upstream, file.id)
        return Made(answer.status, down(answer), told)

    async def _own_file(self, task: _Task) -> StoredFile:
        query_of(task.asked, ())
        file = await self._store.file(task.id, task.owner)
        if file is None:
            raise Refusal(404, f"this key has no file {task.id}", code="file_not_found")
        return file

    # --- batches -----------------------------------------------------------------------------------------------

    async def _create(self, task: _Task) -> Made:
        body = await self._json(task)
        if unknown := body.keys() - CREATE:
            raise BadInput(f"the field {min(unknown)[:64]!r} is not known to the gateway", code="unknown_field")
        name = body.get("input_file_id")
        file = await self._store.file(name, task.owner) if isinstance(name, str) else None
        if file is None or not file.lines:
            raise Refusal(404, "input_file_id is no file of requests of this key", code="file_not_found")
        if body.get("endpoint") != file.url:
            raise BadInput(f"endpoint must be that of the file's lines, {file.url}", code="bad_batch")
        for line in file.lines[:1]:
            if not task.grant.allows_model(line.model):
                raise Refusal(403, f"this key may not ask {line.model}", code="model_not_allowed")
        upstream = self._at(file.upstream)
        lines = Lines(upstream=upstream, url=file.url, lines=list(file.lines), raw=orjson.dumps(body))
        return await self._make(task, lines, b"/v1/batches", "openai")

    async def _create_messages(self, task: _Task) -> Made:
        body = await self._json(task)
        lines = await anyio.to_thread.run_sync(anthropic_lines, body, self._parts, task.grant, self._holds.price)
        return await self._make(task, lines, b"/v1/messages/batches", "anthropic")

    async def _make(self, task: _Task, lines: Lines, path: bytes, shape: Shape) -> Made:
        """Hold, then make the batch. What is not known to have been made is not taken to be free."""
        upstream = lines.upstream
        held = await self._holds.reserve(task.call, task.grant, upstream, lines.lines)
        worst = held.worst
        try:
            head = up(task.asked, shape, upstream.credential, stream=False)
            answer, told = await ask(upstream, b"POST", path, head, lines.raw)
            document = _taken(upstream, answer, told)
            if isinstance(document, Made):
                if answer.status < 500:
                    await held.void()
                return document
            await self._keep(task, lines, document, held)
        except ServiceError as error:
            if error.billed is Billed.NO:
                await held.void()
            raise
        finally:
            await held.end()
        cost = (b"x-aegis-cost-max-usd", format_usd(worst).encode())
        return Made(200, [*down(answer), cost], _shown(document))

    async def _keep(self, task: _Task, lines: Lines, document: Mapping[str, Any], held: Held) -> None:
        batch = StoredBatch(
            upstream=lines.upstream.settings.name,
            id=document["id"],
            owner=task.owner,
            made_ms=now_ms(self._clock),
            document=document,
            held=held.attempts(),
            lines=lines.lines,
        )
        await self._store.add_batch(batch)
        kept = Held()
        kept.opened, held.opened = held.opened, []
        self._holds.keep(batch, kept)

    async def _batches(self, task: _Task) -> Made:
        kind = _kind(task)
        names = {one.settings.name for one in self._parts.upstreams if one.settings.kind == kind}
        found = [one for one in await self._store.batches(task.owner) if one.upstream in names]
        documents = [orjson.loads(_shown(one.document)) for one in found]
        if kind == "openai":
            return Made(200, [JSON], page(documents, query_of(task.asked, ("limit", "after")), most=100))
        return Made(
            200, [JSON], page(documents, query_of(task.asked, ("limit", "after_id", "before_id", "beta")), most=1_000)
        )

    async def _batch(self, task: _Task) -> Made:
        batch = await self._own_batch(task)
        upstream = self._at(batch.upstream)
        answer, told = await ask(upstream, b"GET", batch_path(upstream, batch.id), head_of(upstream))
        return await self._seen(task, batch, upstream, answer, told)

    async def _cancel(self, task: _Task) -> Made:
        batch = await self._own_batch(task)
        upstream = self._at(batch.upstream)
        path = batch_path(upstream, batch.id) + b"/cancel"
        head = [*head_of(upstream), JSON]
        answer, told = await ask(upstream, b"POST", path, head, b"")
        return await self._seen(task, batch, upstream, answer, told)

    async def _seen(self, task: _Task, batch: StoredBatch, upstream: Upstream, answer: Answer, told: bytes) -> Made:
        """What the vendor says of a batch, which is counted first if it says the end."""
        document = _taken(upstream, answer, told)
        if isinstance(document, Made):
            return document
        await self.looks.learned(batch, upstream, document)
        now = await self._store.batch(batch.id, task.owner)
        head = down(answer)
        if now is not None and now.settled:
            head.append((b"x-aegis-cost-usd", format_usd(now.cost).encode()))
        return Made(200, head, _shown(document))

    async def _results(self, task: _Task) -> Made:
        batch = await self._own_batch(task)
        upstream = self._at(batch.upstream)
        return await self._passed(upstream, batch_path(upstream, batch.id) + b"/results")

    async def _delete_batch(self, task: _Task) -> Made:
        """Deleted results cannot be counted any more: what has ended is counted first, all else is refused."""
        batch = await self._own_batch(task)
        upstream = self._at(batch.upstream)
        path = batch_path(upstream, batch.id)
        if not batch.settled:
            document = document_of((await ask(upstream, b"GET", path, head_of(upstream)))[1])
            if document is None or not has_ended(document):
                raise Refusal(400, "a batch under way cannot be deleted: cancel it first", code="batch_under_way")
            await self.looks.learned(batch, upstream, document)
        answer, told = await ask(upstream, b"DELETE", path, head_of(upstream))
        if answer.status not in (200, 404):
            return _refused(upstream, answer, told)
        await self._store.drop_batch(batch)
        return Made(answer.status, down(answer), told)

    async def _own_batch(self, task: _Task) -> StoredBatch:
        query_of(task.asked, ("beta",))
        batch = await self._store.batch(task.id, task.owner)
        if batch is None or self._at(batch.upstream).settings.kind != _kind(task):
            raise Refusal(404, f"this key has no batch {task.id}", code="batch_not_found")
        return batch

    # --- all of them -------------------------------------------------------------------------------------------

    async def _json(self, task: _Task) -> dict[str, Any]:
        query_of(task.asked, ("beta",))
        return await read_json(task.asked, task.receive, self._room)

    async def _passed(self, upstream: Upstream, path: bytes) -> Made:
        answer = await upstream.relay.send(b"GET", path, head_of(upstream))
        if answer.status != 200:
            return _refused(upstream, answer, await answer.read())
        return Made(200, down(answer), passing=answer)

    def _at(self, name: str) -> Upstream:
        for one in self._parts.upstreams:
            if one.settings.name == name:
                return one
        raise Refusal(404, f"the upstream {name} is not configured any more", code="no_upstream")


def _kind(task: _Task) -> Kind:
    return "anthropic" if task.asked.path.startswith(b"/v1/messages") else "openai"


def _taken(upstream: Upstream, answer: Answer, told: bytes) -> dict[str, Any] | Made:
    """The document of an answer that is one; else what the caller gets."""
    document = document_of(told) if answer.status == 200 else None
    return _refused(upstream, answer, told) if document is None else document


def _refused(upstream: Upstream, answer: Answer, told: bytes) -> Made:
    """A vendor's refusal, where it is the caller's to read. Raises `ServiceError` for every other."""
    credential = upstream.credential[1].removeprefix(b"Bearer ") if upstream.credential else b""
    if answer.status not in PASSED_STATUS or (credential and credential in told):
        billed = Billed.NO if 400 <= answer.status < 500 else Billed.UNKNOWN
        said, passing = f"answered {answer.status}", answer.status >= 500
        raise ServiceError(upstream.service, said, retryable=passing, billed=billed, status=answer.status)
    return Made(answer.status, down(answer), told)


def _shown(document: Mapping[str, Any]) -> bytes:
    """A batch as the caller gets it: its results are read here, not at the vendor's own address."""
    if document.get("results_url"):
        document = {**document, "results_url": f"/v1/messages/batches/{document['id']}/results"}
    return orjson.dumps(dict(document))


async def _send(send: Send, made: Made, head: Head) -> None:
    if made.passing is None:
        head = [*head, (b"content-length", b"%d" % len(made.body))]
        await send({"type": "http.response.start", "status": made.status, "headers": head})
        await send({"type": "http.response.body", "body": made.body})
        return
    try:
        await send({"type": "http.response.start", "status": made.status, "headers": head})
        while data := await made.passing.chunk():
            with anyio.fail_after(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (TimeoutError, ServiceError):
        return  # the answer ends without its end, which every client notices
    finally:
        made.passing.abort()
