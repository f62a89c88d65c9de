"""Tools of a chat: functions that upstream models may call.

Theory of operation: ``ToolLoop.answer`` is a handler. It asks the model, runs the tools that the
model requests, and asks it again with their results, at most ``ToolLimits.rounds`` times. Each
round and each result is stored by ``Turn.once``, so that an approval may be given after a restart
and nothing is run or paid twice.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard, get_type_hints

import pydantic
import structlog

from wireside.extension.parts import to_deltas, to_json
from wireside.extension.questions import Approve
from wireside.extension.turn import ONCE, CannotAsk, Turn
from wireside.messages import (
    Cost,
    Delta,
    Finished,
    Message,
    ModelRequest,
    PartDelta,
    TextDelta,
    ToolDelta,
    ToolSpec,
    Usage,
)
from wireside.parts import ImagePart, Part, TextPart, ToolCallPart
from wireside.ports.provider import Provider

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """Limits on the tools of one answer."""

    rounds: int = 8
    """Number of times that a model may request tools before it must answer without them."""
    calls: int = 16
    """Number of calls in one round; further ones fail."""
    seconds: float = 30.0
    """Time limit of one call."""
    result_chars: int = 50_000
    """Length at which a result is cut."""


LIMITS = ToolLimits()


class ToolFailed(Exception):
    """A tool reports a failure to the model; the text is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that a model may call.

    ``run`` gets the arguments as a dict and returns the result. With ``approve``, the user is asked
    before each call.
    """

    spec: ToolSpec
    run: Callable[[dict[str, Any]], Any]
    approve: bool = False

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str = "", approve: bool = False) -> Tool:
        """Return a function as a tool: its types and its docstring become the schema.

        Raises:
            TypeError: a parameter has no type that JSON Schema can describe.
        """
        arguments = _arguments_model(function)
        schema = arguments.model_json_schema()
        schema.pop("title", None)

        async def run(given: dict[str, Any]) -> Any:
            try:
                checked = arguments.model_validate(given)
            except pydantic.ValidationError as error:
                raise ToolFailed(first_problem(error)) from None
            values = {field: getattr(checked, field) for field in arguments.model_fields}
            if inspect.iscoroutinefunction(function):
                return await function(**values)
            return await asyncio.to_thread(function, **values)

        spec = ToolSpec(
            name=name or function.__name__,
            description=inspect.getdoc(function) or "",
            parameters=json.dumps(schema),
        )
        return cls(spec=spec, run=run, approve=approve)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A result with a text for the model, and values that the user sees."""

    text: str
    shown: tuple[object, ...] = ()


class ToolSource(Protocol):
    """A source of tools that may change while the server runs."""

    async def tools(self, taken: Collection[str]) -> Sequence[Tool]:
        """Return the tools that are available now; their names are not among ``taken``."""
        ...

    async def aclose(self) -> None:
        """Close connections and processes."""
        return


CanSee = Callable[[str], Awaitable[bool | None]]
"""Returns whether a model sees images; None if that is unknown."""


async def is_unknown(_model: str) -> None:
    """Return that it is unknown whether a model sees images."""


class ToolLoop:
    """Answers by a model with tools.

    Args:
        tools: the tools.
        upstream: the provider of the model.
        source: a source of further tools, None for none.
        can_see: models that see get the images of results.
        limits: limits on the tools of one answer.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        upstream: Provider,
        *,
        source: ToolSource | None = None,
        can_see: CanSee = is_unknown,
        limits: ToolLimits = LIMITS,
    ) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._source = source
        self._upstream = upstream
        self._can_see = can_see
        self._limits = limits

    async def answer(
        self, turn: Turn[Any, Any], request: ModelRequest
    ) -> AsyncGenerator[Delta, None]:
        """Answer a request; the tools that the model requests are run.

        Those of ``request.tools`` are the client's: a call of one ends the answer, and calls of
        other tools in the same round are dropped, which the model repeats when it goes on.

        Args:
            turn: the turn.
            request: the request to the model.
        """
        messages = request.messages
        usage = Usage()
        cost: Cost | None = None
        of_client = {spec.name for spec in request.tools}
        for number in range(self._limits.rounds + 1):
            is_last = number == self._limits.rounds
            tools = _without(await self._available(), of_client)
            own = () if is_last else tuple(tool.spec for tool in tools.values())
            asked = _round_of(request, messages, own, number)
            name_of_round = f"{turn.output.run}-{number}"
            stored = turn.output.stored(".round", name_of_round)
            end = Finished("stop")
            if stored is None:
                text, calls, is_for_client = "", dict[str, ToolDelta](), False
                async with aclosing(self._upstream.stream(asked)) as deltas:
                    async for delta in deltas:
                        if isinstance(delta, Finished):
                            end = delta
                            usage = _sum(usage, delta.usage)
                            cost = _sum_of_costs(cost, delta.cost)
                        elif isinstance(delta, ToolDelta) and delta.name in tools:
                            calls[delta.call] = delta
                        else:
                            is_for_client |= _is_call(delta, of_client)
                            text += delta.text if isinstance(delta, TextDelta) else ""
                            yield delta
                if not calls or is_last or is_for_client:
                    for call in calls.values() if is_last else ():
                        yield call  # requested although no tool was offered
                    yield Finished(end.reason, usage, cost=cost)
                    return
                requested: list[Any] = [
                    [call.name, call.arguments, tools[call.name].approve] for call in calls.values()
                ]
                turn.output.store(".round", name_of_round, [text, requested])
            else:
                text, requested = json.loads(stored)
            parts: list[Part] = [TextPart(text)] if text else []
            images: list[PartDelta] = []
            for index, (name, arguments, approve) in enumerate(requested):
                call = ToolDelta(f"tool-{number}-{index}", name, "running", arguments)
                yield call
                tool = tools.get(name)
                approve = approve or _needs_approval_now(turn, call, tool)
                refusal = await self._refusal(turn, call, index=index, approve=approve)
                ended, shown = await self._run(turn, call, tool, refusal)
                for part in shown:
                    yield part
                images += shown
                yield ended
                parts.append(_part(ended))
            messages = (*messages, Message("assistant", tuple(parts)))
            messages += await self._seen(images, request.model)
        yield Finished("stop", usage, cost=cost)

    async def _available(self) -> dict[str, Tool]:
        """Return the tools that are available now, by name."""
        if self._source is None:
            return self._tools
        more = await self._source.tools(self._tools.keys())
        return {**{tool.spec.name: tool for tool in more}, **self._tools}

    async def _seen(self, shown: Sequence[PartDelta], model: str) -> tuple[Message, ...]:
        """Return the images of results as a message, since a result is text only."""
        images = [one.part for one in shown if isinstance(one.part, ImagePart)]
        if not images or not await self._can_see(model):
            return ()
        return (Message("user", (TextPart("The images of these results:"), *images)),)

    async def _refusal(
        self, turn: Turn[Any, Any], call: ToolDelta, *, index: int, approve: bool
    ) -> str:
        """Return why a call must not run, "" if it may; with ``approve`` the user decides."""
        if index >= self._limits.calls:
            return f"At most {self._limits.calls} calls run in one round."
        if not approve:
            return ""
        question = approval(call.name, call.arguments)
        try:
            return "" if await turn.ask(question) else "The user has refused this call."
        except CannotAsk:
            return "The user must approve this call, and can't be asked outside of a conversation."

    async def _run(
        self, turn: Turn[Any, Any], call: ToolDelta, tool: Tool | None, refusal: str
    ) -> tuple[ToolDelta, list[PartDelta]]:
        """Run one call; return its last state, and the parts that its result shows."""
        if refusal:
            return replace(call, state="failed", result=refusal), []
        shown: list[PartDelta] = []

        async def run() -> list[str]:
            try:
                if tool is None:  # it was requested before a restart
                    raise ToolFailed("This tool is not available any more.")
                arguments = json.loads(call.arguments or "{}")
                if not isinstance(arguments, dict):
                    raise ToolFailed("The arguments must be an object.")
                async with asyncio.timeout(self._limits.seconds):
                    result = await tool.run(arguments)
            except TimeoutError:
                return ["failed", f"The tool took more than {self._limits.seconds:g} s."]
            except json.JSONDecodeError:
                return ["failed", "The arguments are not valid JSON."]
            except ToolFailed as error:
                return ["failed", str(error)]
            except Exception as error:
                _log.warning("tool_failed", tool=call.name, exc_info=error)
                return ["failed", "The tool failed."]
            return ["done", self._as_text(result, shown)]

        state, result = await turn.once(_name_of_call(turn, call), run)
        return replace(call, state=_state(state), result=result), shown

    def _as_text(self, result: object, shown: list[PartDelta]) -> str:
        """Return a result as the model gets it; images, tables and figures are shown as well."""
        if isinstance(result, ToolResult):
            text = result.text
            shown += [one for value in result.shown for one in to_deltas(value) if _is_part(one)]
        elif isinstance(result, str | int | float | bool | dict | list | type(None)):
            text = result if isinstance(result, str) else to_json(result)
        else:
            try:
                found = [one for one in to_deltas(result) if _is_part(one)]
            except TypeError:
                found = []
            shown += found
            label = "The user sees the result." if found else ""
            text = label or to_json(result)
        limit = self._limits.result_chars
        return text if len(text) <= limit else f"{text[:limit]}… (cut: {len(text):,} characters)"


def first_problem(error: pydantic.ValidationError) -> str:
    """Return the first problem of values that do not fit: the field and what is wrong."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _arguments_model(function: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """Return a model of a function's parameters. Raises ``TypeError``."""
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(
                f"The parameter {name!r} of the tool {function.__name__!r} has no type: annotate"
                " it, so that a model knows what to pass."
            )
        is_required = parameter.default is inspect.Parameter.empty
        fields[name] = (hints[name], ... if is_required else parameter.default)
    return pydantic.create_model(function.__name__, **fields)


def _is_call(delta: Delta, names: Collection[str]) -> bool:
    return isinstance(delta, ToolDelta) and delta.name in names


def _without(tools: dict[str, Tool], names: Collection[str]) -> dict[str, Tool]:
    return {name: tool for name, tool in tools.items() if name not in names}


def _round_of(
    request: ModelRequest, messages: tuple[Message, ...], own: Sequence[ToolSpec], number: int
) -> ModelRequest:
    """Return the request of a round: with the client's tools and the ``own`` ones."""
    parameters = _without_forced_choice(request.parameters) if number else request.parameters
    tools = (*request.tools, *own)
    return replace(request, messages=messages, tools=tools, parameters=parameters)


def _without_forced_choice(parameters: str) -> str:
    """Return parameters that let a model answer after it has used the tool that it had to use."""
    fields = json.loads(parameters) if parameters else {}
    if fields.get("tool_choice") in (None, "auto", "none"):
        return parameters
    return json.dumps({key: value for key, value in fields.items() if key != "tool_choice"})


def _is_part(delta: Delta) -> TypeGuard[PartDelta]:
    return isinstance(delta, PartDelta)


def _part(call: ToolDelta) -> ToolCallPart:
    return ToolCallPart(
        call=call.call,
        name=call.name,
        state=call.state,
        arguments=call.arguments,
        result=call.result,
    )


def _needs_approval_now(turn: Turn[Any, Any], call: ToolDelta, tool: Tool | None) -> bool:
    """Return whether a call that has not run needs approval, which it may since a restart."""
    has_run = turn.output.stored(ONCE, _name_of_call(turn, call)) is not None
    return tool is not None and tool.approve and not has_run


def _name_of_call(turn: Turn[Any, Any], call: ToolDelta) -> str:
    return f"{turn.output.run}-{call.call}"


def approval(name: str, arguments: str) -> Approve:
    """Return the question whether a tool may be called; ``arguments`` is a JSON text."""
    return Approve(f"Run **{name}** with these arguments?\n\n{_fenced(arguments)}")


def _fenced(arguments: str) -> str:
    """Return arguments as a code block, which they can't leave."""
    longest = max((len(ticks) for ticks in re.findall("`+", arguments)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{arguments or '{}'}\n{fence}"


def _state(text: str) -> Any:
    return "done" if text == "done" else "failed"


def _sum_of_costs(first: Cost | None, second: Cost | None) -> Cost | None:
    """Return the cost of two rounds, which have the currency of their model."""
    if first is None or second is None:
        return first or second
    return replace(second, amount=first.amount + second.amount)


def _sum(first: Usage, second: Usage) -> Usage:
    def add(one: int | None, other: int | None) -> int | None:
        return other if one is None else one if other is None else one + other

    return Usage(
        add(first.input_tokens, second.input_tokens),
        add(first.output_tokens, second.output_tokens),
    )
