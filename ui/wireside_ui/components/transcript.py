"""The conversation on the page: turns with their answers, thousands of them, the last one growing.

The page calls the methods, in any order and as often as it likes (rows are known by their ``id``);
the component says what a person asks for (``Action``) and which turns of the history it is about to
show (``on_need``). It holds no text of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from inspect import isawaitable
from typing import Any, Literal, TypedDict, TypeGuard, TypeVar, Unpack, cast, get_args

from nicegui.element import Element
from nicegui.elements.mermaid import Mermaid
from nicegui.events import GenericEventArguments

from wireside_ui.markdown.incremental import Op
from wireside_ui.presenters.find import MAX_QUERY_CHARS

T = TypeVar("T")

# importing it puts "nicegui-mermaid" into the page's import map; the bundle is loaded by the first
# diagram
MERMAID = Mermaid

MAX_ID_CHARS = 128
MAX_FEEDBACK_CHARS = 2_000

WORDS: Mapping[str, str] = {
    "conversation": "Conversation",
    "question": "You",
    "answer": "Answer",
    "typing": "AI is typing…",
    "model_loading": "The model is loading…",
    "waiting": "Waiting",
    "take_back": "take back",
    "copy": "Copy",
    "copy_menu": "More ways to copy",
    "copy_markdown": "Copy as Markdown",
    "copy_text": "Copy as text",
    "copied": "Copied",
    "copy_code": "Copy code",
    "retry": "Ask again",
    "edit": "Edit",
    "version": "Version {number} of {count}",
    "previous": "Previous version",
    "next": "Next version",
    "good": "Good answer",
    "bad": "Bad answer",
    "what_good": "What was good? (optional)",
    "what_wrong": "What was wrong? (optional)",
    "send_feedback": "Send",
    "thanks": "Thank you",
    "close": "Close",
    "stop": "Stop",
    "continue": "Continue",
    "stopped": "You stopped this answer.",
    "length_reached": "This answer reached its greatest length.",
    "filtered": "The model service's content filter ended this answer.",
    "reasoning_took": "Reasoning · {time}",
    "interrupted": "This answer was interrupted.",
    "empty": "The model answered nothing.",
    "error": "Something went wrong.",
    "try_again": "Try again",
    "retry_in": "Trying again in {seconds} s",
    "new_text": "New text",
    "reasoning": "Reasoning",
    "reasoning_live": "Thinking…",
    "tool_running": "running",
    "tool_done": "done",
    "tool_failed": "failed",
    "arguments": "Arguments",
    "result": "Result",
    "code_block": "Code block",
    "open_image": "Open image",
    "table": "Table",
    "formula": "Formula",
    "answer_done": "The answer is complete.",
    "find": "Find in this conversation",
    "find_place": "Message {number} of {count}",
    "find_none": "Not found",
    "find_next": "Next",
    "find_previous": "Previous",
    "all_selected": "All {count} messages are selected: copying takes the whole conversation.",
    "print_missing": "{count} messages could not be loaded and are missing here.",
}
"""Every word the component shows, in English. Names in braces are replaced by numbers."""

State = Literal[
    "waiting",
    "thinking",
    "streaming",
    "done",
    "empty",
    "stopped",
    "interrupted",
    "length_reached",
    "filtered",
    "error",
]
"""``waiting``: the question has not its turn yet; ``thinking``: asked, no text yet; ``streaming``:
text comes; ``empty``: the answer has ended and has neither text nor tool calls;
``length_reached`` and ``filtered``: the model service ended the answer, because of its length or by
its content filter.
"""

ActionName = Literal[
    "retry",
    "edit",
    "stop",
    "continue",
    "withdraw",
    "previous",
    "next",
    "up",
    "down",
    "no-feedback",
    "say",
]
"""``previous`` and ``next`` ask for a turn's sibling; ``up``, ``down`` and ``no-feedback`` judge
its answer, ``say`` adds words to that.
"""


class Tool(TypedDict):
    """One tool call. ``seconds`` is ``None`` while it runs; ``arguments`` and ``result`` are shown
    as they are.
    """

    call: str
    name: str
    state: Literal["running", "done", "failed"]
    seconds: float | None
    arguments: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn. ``html`` is safe HTML (``markdown.render``); it stays empty for an answer that
    grows by ``ops``.
    """

    id: str
    question: str = ""
    state: State = "done"
    html: str = ""
    reasoning: str = ""
    tools: tuple[Tool, ...] = ()
    error: str = ""
    """What happened, in words, for the state ``error``."""
    retry_after: float | None = None
    """Seconds after which the component asks for ``retry`` by itself, with a countdown."""
    sibling: int = 0
    """Which of its ``siblings`` it is, from 0: turns that follow the same turn. With more than one
    there is a switch between them.
    """
    siblings: int = 1
    feedback: Literal["", "up", "down"] = ""
    model: str = ""
    """Which model answered; several where "Continue" was given to another one."""
    asked_at: float = 0.0
    """When the question was asked, in seconds since 1970; 0 where that is not known."""


class RowPatch(TypedDict, total=False):
    """What can change in a row."""

    question: str
    state: State
    html: str
    reasoning: str
    tools: Sequence[Tool]
    error: str
    retry_after: float | None
    sibling: int
    siblings: int
    feedback: Literal["", "up", "down"]
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a person asks for. The row's id comes from the browser: the page checks that it knows
    it.

    ``automatic``: a countdown ended; every open page of the conversation says so, and the first one
    counts. ``words`` are those of ``say``, at most ``MAX_FEEDBACK_CHARS``.
    """

    name: ActionName
    row_id: str
    automatic: bool = False
    words: str = ""


class Transcript(Element, component="wireside_transcript.js", esm={"wireside-kit": "kit"}):
    """See the module. Fills its parent, which must have a height."""

    def __init__(
        self,
        *,
        on_action: Callable[[Action], Awaitable[None] | None],
        on_need: Callable[[int], Awaitable[None] | None],
        on_find: Callable[[str], Awaitable[None] | None],
        answer_text: Callable[[str], Awaitable[str] | str],
        words: Mapping[str, str] = WORDS,
        announce: bool = True,
        page_size: int = 20,
        is_reader: bool = False,
        assets: str = "/assets",
        version: str = "",
    ) -> None:
        """``on_need(page)`` is answered by ``put(page, rows)``, ``on_find(query)`` by
        ``found_in``. ``answer_text(row_id)`` gives the Markdown that "Copy" copies. ``is_reader``
        is offered nothing that would change a turn. ``assets`` is the path under which formulas
        find ``math.js`` and ``katex/``, ``version`` names the state of these files.
        """
        super().__init__()
        self._on_action = on_action
        self._on_need = on_need
        self._on_find = on_find
        self._answer_text = answer_text
        self._props["words"] = {**WORDS, **words}
        self._props["announce"] = announce
        self._props["page-size"] = page_size
        self._props["is-reader"] = is_reader
        self._props["assets"] = assets
        self._props["version"] = version
        self.on("action", self._act)
        self.on("need", self._need)
        self.on("copy", self._copy)
        self.on("find", self._find)

    def put(self, page: int, rows: Sequence[Row]) -> None:
        """The turns ``page * page_size`` and on, oldest first. What is already there stays as it
        is.
        """
        self.run_method("put", page, [asdict(row) for row in rows])

    def miss(self, page: int) -> None:
        """What ``on_need`` asked for can't be given now; it is asked for again in a moment."""
        self.run_method("miss", page)

    def append(self, row: Row) -> None:
        """A new turn at the end, which is scrolled to."""
        self.run_method("append", asdict(row))

    def change(self, row_id: str, **patch: Unpack[RowPatch]) -> None:
        """Change parts of a row; comes after all ``ops`` that were sent before it."""
        self.run_method("update", row_id, patch)

    def take_out(self, *row_ids: str) -> None:
        """Remove turns; those after them move up, in the pages too."""
        for row_id in row_ids:
            self.run_method("remove", row_id)

    def ops(self, row_id: str, ops: Sequence[Op], reasoning: str = "") -> None:
        """Show what a ``BlockStream`` flush gave, and new reasoning: one message for both."""
        batch = [*([["g", reasoning]] if reasoning else []), *ops]
        if batch:
            self.run_method("ops", row_id, batch)

    def reset(self, rows: Sequence[Row], total: int) -> None:
        """The conversation has ``total`` turns and ends with ``rows``. Whatever the page shows
        becomes that, without a jump.

        A growing answer goes on after it by ``ops`` that begin with ``BlockStream.restart()``.
        """
        self.run_method("reset", [asdict(row) for row in rows], total)

    def replace_from(self, index: int, rows: Sequence[Row], total: int) -> None:
        """The conversation has ``total`` turns; those from ``index`` on begin with ``rows``, and
        the others are asked for. What stands above stays untouched, and the view where it is;
        when the last of ``rows`` ends the conversation and is yet to be answered, it is scrolled
        to.

        A growing answer begins anew: its ``ops`` come from its first character on.
        """
        self.run_method("replaceFrom", index, [asdict(row) for row in rows], total)

    def jump(self, index: int) -> None:
        """Bring any turn to the top of the view, by its place in the conversation, and mark it for
        a moment.
        """
        self.run_method("jump", index)

    def set_announce(self, announce: bool) -> None:
        """Whether a growing answer is read out, sentence by sentence, to those who use a screen
        reader.
        """
        self._props["announce"] = announce

    def set_source(self, address: str) -> None:
        """Set the conversation's address in the REST API, "" for none. Printing and copying read
        from there what the page does not hold.
        """
        self.run_method("setSource", address)

    def found_in(self, query: str, places: Sequence[int]) -> None:
        """Answer ``on_find``: the turns that contain ``query``, in their order."""
        self.run_method("foundIn", query, list(places))

    async def _find(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        query = args.get("query")
        if isinstance(query, str) and 0 < len(query) <= MAX_QUERY_CHARS:
            await _result(self._on_find(query))

    async def _act(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        name, row_id, words = args.get("name"), args.get("id"), args.get("words", "")
        if name not in get_args(ActionName) or not _is_id(row_id) or not _is_feedback(words):
            return
        action = Action(
            name=cast("ActionName", name),
            row_id=row_id,
            automatic=args.get("automatic") is True,
            words=words if name == "say" else "",
        )
        await _result(self._on_action(action))

    async def _need(self, event: GenericEventArguments) -> None:
        if type(event.args) is int and event.args >= 0:  # a bool is none
            await _result(self._on_need(event.args))

    async def _copy(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        row_id, ask = args.get("id"), args.get("ask")
        if _is_id(row_id) and _is_id(ask):
            self.run_method("copied", ask, await _result(self._answer_text(row_id)))


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 2 * MAX_ID_CHARS


def _is_feedback(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= MAX_FEEDBACK_CHARS


async def _result(value: Awaitable[T] | T) -> T:
    return await value if isawaitable(value) else value
