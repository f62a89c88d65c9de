"""Makes the handlers of a chat models of the server, in front of those of another provider."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog

from wireside.errors import BadMessage, UnknownModel, WiresideError
from wireside.extension import questions
from wireside.extension.mcp.servers import McpServer
from wireside.extension.mcp.tools import McpTools
from wireside.extension.options import build, options_from
from wireside.extension.run import Handler, HandlerRun, state_id
from wireside.extension.tools import CanSee, Tool, ToolLoop, is_unknown
from wireside.extension.turn import Messages, Turn, User
from wireside.messages import (
    Delta,
    Finished,
    Message,
    ModelInfo,
    ModelRequest,
    TextDelta,
)
from wireside.openai_wire.requests import encode_tools
from wireside.parts import FilePart, ImagePart, data_of
from wireside.ports.provider import Provider

_log = structlog.get_logger(__name__)

HANDLERS = "handlers"
"""The ``Provider.kind`` of a server that answers by handlers."""

MAX_THREADS = 32
"""Maximum number of handlers that run in threads at the same time; others wait."""

MAX_ASKING = 200
"""Maximum number of handlers that wait in memory for an answer; the others are replayed."""

MAX_ASKING_CHARS = 64_000_000
"""Maximum number of characters of the messages and files that they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerModel:
    """A handler as a model."""

    info: ModelInfo
    handler: Handler
    options: type | None = None
    """The class of its options, None for none."""
    state: type | None = None
    """The class of its state, None for none."""
    shares_state: bool = False
    """Whether clients of AG-UI see its state and may change it."""


class HandlerProvider(Provider):
    """Answers by handlers, and by ``upstream`` for all other models.

    Args:
        handlers: the handlers, the default first.
        upstream: the provider of further models, None for none.
        tools: the tools that these models may call.
        mcp_servers: servers whose tools these models may call as well.
        can_see: returns whether an upstream model sees images.

    Raises:
        NotConfigured: there are MCP servers, and the extra ``mcp`` is not installed.
        ValueError: two MCP servers have the same name.
    """

    def __init__(
        self,
        handlers: Sequence[HandlerModel],
        upstream: Provider | None = None,
        tools: Sequence[Tool] = (),
        mcp_servers: Sequence[McpServer] = (),
        *,
        can_see: CanSee = is_unknown,
    ) -> None:
        self._handlers = {one.info.id: one for one in handlers}
        self._upstream = upstream
        self._mcp = McpTools(mcp_servers) if mcp_servers and upstream else None
        self._tools = None
        if upstream is not None and (tools or self._mcp is not None):
            self._tools = ToolLoop(tools, upstream, source=self._mcp, can_see=can_see)
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="handler")
        self._asking: OrderedDict[str, HandlerRun] = OrderedDict()

    @property
    def kind(self) -> str:
        """``handlers``, or that of the upstream provider if there are only tools."""
        return HANDLERS if self._handlers or self._upstream is None else self._upstream.kind

    async def warm_up(self) -> None:
        """Warm the upstream provider up, and open the sessions with MCP servers meanwhile."""
        if self._mcp is not None:
            self._mcp.open_soon()
        if self._upstream is not None:
            await self._upstream.warm_up()

    async def models(self) -> Sequence[ModelInfo]:
        """Return the handlers, then the upstream models.

        An upstream that can't list its models must not hide the handlers.
        """
        own = [one.info for one in self._handlers.values()]
        if self._upstream is None:
            return own
        try:
            listed = await self._upstream.models()
        except WiresideError as error:
            if not own:
                raise
            _log.warning("models_not_listed", code=error.code, message=str(error))
            listed = ()
        return [*own, *(model for model in listed if model.id not in self._handlers)]

    def check_options(self, model: str, options: str) -> None:
        """Check the options of a question to a handler, before it is asked.

        Args:
            model: the model of the question.
            options: the JSON text of an object, "" for none.

        Raises:
            BadMessage: they do not fit; the text names the option.
        """
        handler = self._handlers.get(model)
        if handler is not None:
            options_from(handler.options, options)

    async def stop_waiting(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        """Stop the handlers that wait for an answer in conversations of an account; None: in all.

        They are replayed if an answer comes after all, to a conversation that was restored.
        """
        stopped = [
            turn_id
            for turn_id, run in self._asking.items()
            if run.user_id == owner
            and (conversation_ids is None or run.conversation in conversation_ids)
        ]
        await asyncio.gather(*[self._asking.pop(turn_id).aclose() for turn_id in stopped])

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer of a handler, or of the upstream provider."""
        async with aclosing(self._answer(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def aclose(self) -> None:
        """Stop all handlers that wait for an answer, and close the upstream provider."""
        waiting, self._asking = list(self._asking.values()), OrderedDict()
        await asyncio.gather(*(run.aclose() for run in waiting))
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._mcp is not None:
            await self._mcp.aclose()
        if self._upstream is not None:
            await self._upstream.aclose()

    def _answer(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Return the answer to a request. Raises ``UnknownModel``."""
        handler = self._handlers.get(request.model)
        if handler is not None:
            return self._handle(handler, request)
        if self._upstream is None:
            raise UnknownModel(f'There is no handler "{request.model[:100]}".')
        if self._tools is not None and request.allows_tools:
            return self._handle(self._tool_model(request), request)
        return self._upstream.stream(request)

    def _tool_model(self, request: ModelRequest) -> HandlerModel:
        """Return the handler that answers by an upstream model with tools."""
        assert self._tools is not None
        answer = self._tools.answer

        async def handler(turn: Turn[Any, Any]) -> AsyncIterator[Any]:
            async with aclosing(answer(turn, request)) as values:
                async for value in values:
                    yield value

        info = ModelInfo(id=request.model, name=request.model)
        return HandlerModel(info=info, handler=handler)

    async def _handle(
        self, handler: HandlerModel, request: ModelRequest
    ) -> AsyncGenerator[Delta, None]:
        context = request.context
        run = await self._run_of(handler, request)
        deltas = run.deltas()
        try:
            async for delta in deltas:
                yield delta
        finally:
            if run.is_asking and context.turn is not None:
                await self._keep(context.turn, run)
            else:
                await run.aclose()

    async def _run_of(self, handler: HandlerModel, request: ModelRequest) -> HandlerRun:
        """Return the run that answers: the one that waits, a replay, or a new one."""
        context = request.context
        open_part = questions.open_question(context.answered_parts)
        answered = None
        if open_part is not None and context.answer is not None:
            answered = questions.answered(open_part, json.loads(context.answer))
        kept = self._asking.pop(context.turn or "", None)
        if kept is not None and answered is not None and kept.is_asking:
            kept.resume(answered, context.answered_files)
            return kept
        if kept is not None:  # retried, so that its question is gone
            await kept.aclose()
        run = HandlerRun(
            handler.handler,
            name=handler.info.id,
            pool=self._pool,
            complete=self._complete,
            parts=context.answered_parts,
            files=context.answered_files,
            answered=answered,
            can_ask=context.turn is not None,
            shares_state=handler.shares_state,
        )
        run.start(_turn(handler, request, run))
        return run

    async def _keep(self, turn_id: str, run: HandlerRun) -> None:
        """Keep a run that waits for an answer; the longest waiting one may have to be replayed."""
        self._asking[turn_id] = run
        chars = sum(one.held_chars for one in self._asking.values())
        while len(self._asking) > MAX_ASKING or chars > MAX_ASKING_CHARS:
            _, oldest = self._asking.popitem(last=False)
            chars -= oldest.held_chars
            await oldest.aclose()

    async def _complete(self, messages: Messages, model: str | None) -> AsyncIterator[str]:
        """Stream the text of an upstream model's answer, for ``Turn.complete``."""
        if self._upstream is None:
            raise UnknownModel("This server has no model besides its handlers.")
        name = model or (await self._upstream.models())[0].id
        request = ModelRequest(model=name, messages=tuple(_message(one) for one in messages))
        async with aclosing(self._upstream.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    yield delta.text
                elif isinstance(delta, Finished):
                    return


# ---- internals -----------------------------------------------------------------------------------


def _turn(handler: HandlerModel, request: ModelRequest, run: HandlerRun) -> Turn[Any, Any]:
    context = request.context
    asked = (message for message in reversed(request.messages) if message.role == "user")
    question = next(asked, request.messages[-1])  # results of a client's tools may follow it
    user = User(id=context.user_id, name=context.user_name, groups=context.user_groups)
    return Turn(
        question.text,
        user=user,
        messages=request.messages,
        files=[part for part in question.parts if isinstance(part, ImagePart | FilePart)],
        options=options_from(handler.options, context.options),
        state=_state(handler, request),
        model=request.model,
        conversation=context.conversation,
        parameters=_parameters(request),
        output=run,
    )


def _parameters(request: ModelRequest) -> dict[str, Any]:
    """Return what a request sets, in the names of OpenAI's chat completions."""
    fields: dict[str, Any] = json.loads(request.parameters) if request.parameters else {}
    if request.tools:
        fields["tools"] = encode_tools(request.tools)
    for name in ("temperature", "max_tokens"):
        if (value := getattr(request, name)) is not None:
            fields[name] = value
    return fields


def _state(handler: HandlerModel, request: ModelRequest) -> Any:
    """Return the state that the client has sent, or that after the turn before this one.

    A new one if the stored one can't be read. Raises ``BadMessage`` if that of the client does not
    fit.
    """
    kind, stored = handler.state, request.context.states
    if kind is None:
        return None
    if request.client_state and handler.shares_state:
        return build(kind, json.loads(request.client_state), name="state")
    value = next((data_of(part) for part in stored if part.id == state_id(kind)), None)
    try:
        return build(kind, value or {}, name="state")
    except BadMessage as error:  # the class has changed since
        _log.warning("handler_state_reset", kind=kind.__name__, reason=str(error))
        return kind()


def _message(value: Message | Mapping[str, Any]) -> Message:
    if isinstance(value, Message):
        return value
    return Message.of_text(value["role"], str(value.get("content") or ""))
