"""The transcript: a virtual list of thousands of turns, the last of which may be streaming.

The page calls the methods in any order and any number of times (rows are identified by ``id``); the
component reports user actions (``Action``) and the pages of history that it is about to show
(``on_need``). The Python side stores no text.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from inspect import isawaitable
from typing import Any, TypeGuard, TypeVar, Unpack, cast, get_args

from nicegui.element import Element
from nicegui.elements.mermaid import Mermaid
from nicegui.elements.plotly import Plotly
from nicegui.events import GenericEventArguments

from wireside.chat.access import Right
from wireside.chat.instructions import TEXTS
from wireside_ui.components.kit import KIT
from wireside_ui.i18n.en import TRANSCRIPT_WORDS as WORDS
from wireside_ui.markdown.incremental import Op
from wireside_ui.presenters.find import MAX_QUERY_CHARS
from wireside_ui.presenters.questions import GivenAnswer, answer_from
from wireside_ui.presenters.rows import Action, ActionName, Row, RowPatch

MAX_MODEL_CHARS = 200

T = TypeVar("T")

# Importing them adds "nicegui-mermaid" and "nicegui-plotly" to the page's import map; a bundle is
# loaded with the first diagram or figure.
BUNDLES = (Mermaid, Plotly)

MAX_ID_CHARS = 128
MAX_FEEDBACK_CHARS = 2_000
MAX_NEW_ID_CHARS = 64
MAX_REWRITE_CHARS = 1_000_000


class Transcript(
    Element, component="wireside_transcript.js", esm=KIT | {"wireside-transcript": "modules"}
):
    """The transcript element. Fills its parent, which must have a height."""

    def __init__(
        self,
        *,
        on_action: Callable[[Action], Awaitable[None] | None],
        on_need: Callable[[int], Awaitable[None] | None],
        on_find: Callable[[str], Awaitable[None] | None],
        on_answer: Callable[[GivenAnswer], Awaitable[None] | None] | None = None,
        on_rewrite: Callable[[str, str, str], Awaitable[str]] | None = None,
        answer_text: Callable[[str], Awaitable[str] | str],
        words: Mapping[str, str] = WORDS,
        announce: bool = True,
        page_size: int = 20,
        is_reader: bool = False,
        asks_consent: bool = False,
        assets: str = "/assets",
        files: str = "/api/files",
        uploads: str = "/api/uploads",
        version: str = "",
        views: str = "",
        view_names: Sequence[str] = (),
    ) -> None:
        """Create the transcript.

        ``on_need(page)`` must be answered by ``put(page, rows)`` and ``on_find(query)`` by
        ``found_in``. ``on_answer`` is called with the user's answers to questions, and
        ``on_rewrite(row_id, text, new_id)`` with the new text of an answer; it returns why that
        can't be stored, or "".
        ``answer_text(row_id)`` returns the Markdown that "Copy" copies. ``is_reader`` hides every
        action that would change a turn. ``asks_consent``: the form for feedback asks whether
        administrators may read the answer. ``assets`` is the path of ``math.js`` and
        ``katex/``, ``version`` the version of these files; ``files`` that of the
        questions' files, ``uploads`` the address that takes files; ``views`` that of the pages with
        views, whose names are ``view_names``.
        """
        super().__init__()
        self._on_action = on_action
        self._on_need = on_need
        self._on_find = on_find
        self._on_answer = on_answer
        self._on_rewrite = on_rewrite
        self._answer_text = answer_text
        self._props["words"] = {**WORDS, **words}
        self._props["announce"] = announce
        self._props["page-size"] = page_size
        self._props["is-viewer"] = is_reader
        self._props["right"] = "own"
        self._props["asks-consent"] = asks_consent
        self._props["assets"] = assets
        self._props["files"] = files
        self._props["uploads"] = uploads
        self._props["version"] = version
        self._props["views"] = views
        self._props["view-names"] = list(view_names)
        self.client.on_connect(lambda: self._props.pop("begin", None))
        self.on("action", self._act)
        self.on("need", self._need)
        self.on("copy", self._copy)
        self.on("find", self._find)
        self.on("answer", self._answer)
        self.on("rewrite", self._rewrite)

    def put(self, page: int, rows: Sequence[Row]) -> None:
        """Add the turns from index ``page * page_size`` on, oldest first.

        Rows that are already loaded are not changed.
        """
        self.run_method("put", page, [asdict(row) for row in rows])

    def miss(self, page: int) -> None:
        """Report a page requested by ``on_need`` as unavailable; it is requested again soon."""
        self.run_method("miss", page)

    def append(self, row: Row) -> None:
        """Append a turn and scroll to it."""
        self.run_method("append", asdict(row))

    def change(self, row_id: str, **patch: Unpack[RowPatch]) -> None:
        """Change fields of a row; applied after all ``ops`` that were sent before."""
        self.run_method("update", row_id, patch)

    def take_out(self, *row_ids: str) -> None:
        """Remove turns; the indices, and so the pages, of later turns shift accordingly."""
        for row_id in row_ids:
            self.run_method("remove", row_id)

    def ops(self, row_id: str, ops: Sequence[Op]) -> None:
        """Send what is new in an answer: operations on its parts, in their order.

        Those of ``BlockStream.flush`` change the text at its end, which begins after another part.
        ``["g", text]`` adds reasoning, ``["u", tool]`` shows a state of a tool call and
        ``["d", part]`` one of another part; ``["x"]`` removes all parts.
        """
        if ops:
            self.run_method("ops", row_id, list(ops))

    def reset(self, rows: Sequence[Row], total: int) -> None:
        """Replace all content: the conversation has ``total`` turns and ends with ``rows``.

        The scroll position is kept. A streaming answer is continued by ``ops`` that start with
        ``BlockStream.restart()``.

        Until the page is sent, this is part of its document, and then painted before the browser
        connects.
        """
        sent = [asdict(row) for row in rows]
        if self.client._response_built:
            self.run_method("reset", sent, total)
        else:
            self._props["begin"] = {"rows": sent, "total": total}

    def replace_from(self, index: int, rows: Sequence[Row], total: int) -> None:
        """Replace the turns from ``index`` on: they start with ``rows``; ``total`` turns exist.

        Turns after ``rows`` are requested by ``on_need``. Turns before ``index`` and the scroll
        position do not change, except that the view scrolls to the last of ``rows`` if it is the
        last turn of the conversation and has no answer yet.

        A streaming answer is restarted: its ``ops`` must start at its first character.
        """
        self.run_method("replaceFrom", index, [asdict(row) for row in rows], total)

    def jump(self, index: int) -> None:
        """Scroll the turn at ``index`` to the top of the view and highlight it briefly."""
        self.run_method("jump", index)

    def set_right(self, right: Right) -> None:
        """Set what the user may do with the conversation; call it before its rows are shown."""
        if self.client._response_built:
            self.run_method("setRight", right)
        else:
            self._props["right"] = right

    def set_comments(self, counts: Mapping[str, int], *, can_add: bool) -> None:
        """Set the number of comments by turn, and whether the user can add some.

        Call it before the rows of a conversation are shown, and again when comments change: the
        browser reads the open ones again.
        """
        if self.client._response_built:
            self.run_method("setComments", dict(counts), can_add)
        else:
            self._props["comments"] = {"counts": dict(counts), "canAdd": can_add}

    def set_source(self, address: str) -> None:
        """Set the conversation's address in the REST API, "" for none.

        Printing and copying fetch from there the turns that are not loaded in the page. Until the
        page is sent, this is part of its document: a reader may print before the browser connects.
        """
        if not self.client._response_built and "begin" in self._props:
            self._props["begin"]["source"] = address
        else:
            self.run_method("setSource", address)

    def found_in(self, query: str, places: Sequence[int]) -> None:
        """Answer ``on_find`` with the indices of the turns that contain ``query``, in order."""
        self.run_method("foundIn", query, list(places))

    async def _find(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        query = args.get("query")
        if isinstance(query, str) and 0 < len(query) <= MAX_QUERY_CHARS:
            await _result(self._on_find(query))

    async def _act(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        name, row_id, words = args.get("name"), args.get("id"), args.get("words", "")
        model, instruction = args.get("model", ""), args.get("instruction", "")
        if name not in get_args(ActionName) or not _is_id(row_id) or not _is_feedback(words):
            return
        if not isinstance(model, str) or len(model) > MAX_MODEL_CHARS:
            return
        action = Action(
            name=cast("ActionName", name),
            row_id=row_id,
            automatic=args.get("automatic") is True,
            words=words if name == "say" else "",
            is_shown=name == "say" and args.get("shown") is True,
            model=model if name == "retry" else "",
            instruction=instruction if name == "retry" and instruction in TEXTS else None,
        )
        await _result(self._on_action(action))

    async def _answer(self, event: GenericEventArguments) -> None:
        answer = answer_from(event.args)
        if answer is not None and self._on_answer is not None:
            await _result(self._on_answer(answer))

    async def _rewrite(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        row_id, new_id, text = args.get("id"), args.get("turn"), args.get("text")
        if not isinstance(text, str) or len(text) > MAX_REWRITE_CHARS:
            return
        if self._on_rewrite and _is_id(row_id) and _is_new_id(new_id):
            self.run_method("rewritten", new_id, await self._on_rewrite(row_id, text, new_id))

    async def _need(self, event: GenericEventArguments) -> None:
        if type(event.args) is int and event.args >= 0:  # excludes bool
            await _result(self._on_need(event.args))

    async def _copy(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        row_id, ask = args.get("id"), args.get("ask")
        if _is_id(row_id) and _is_id(ask):
            self.run_method("copied", ask, await _result(self._answer_text(row_id)))


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 2 * MAX_ID_CHARS


def _is_new_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_NEW_ID_CHARS


def _is_feedback(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= MAX_FEEDBACK_CHARS


async def _result(value: Awaitable[T] | T) -> T:
    return await value if isawaitable(value) else value
