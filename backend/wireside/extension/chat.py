"""A chat of a team's own: its handlers, views and looks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args, overload

from wireside.extension.hooks import Hooks
from wireside.extension.icons import icon_of
from wireside.extension.mcp.servers import McpServer
from wireside.extension.options import schema_of
from wireside.extension.pages import SidePage
from wireside.extension.provider import HandlerModel, HandlerProvider
from wireside.extension.run import Handler
from wireside.extension.tools import CanSee, Tool, is_unknown
from wireside.extension.views import ViewFunction
from wireside.identity import ModelAccess, Role
from wireside.messages import ModelInfo
from wireside.ports.provider import Provider

HandlerT = TypeVar("HandlerT", bound=Handler)
P = ParamSpec("P")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


CssValue = str | tuple[str, str]
"""The value of a CSS variable, or those for light and dark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLook:
    """The look of a chat; what is empty is that of the settings."""

    accent: str = ""
    logo: Path | None = None
    welcome: str = ""
    footer: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    css_variables: Mapping[str, CssValue] = field(default_factory=dict)


class NoHandler(ValueError):
    """A chat has no handler; the text is a sentence."""


class Chat:
    """A chat whose answers come from handlers.

    ``wireside serve module:chat`` serves it, and so does ``create_app(settings, chat=chat)``::

        chat = Chat()

        @chat.on_message
        async def answer(turn):
            async for text in my_model(turn.messages):
                yield text
    """

    def __init__(
        self,
        name: str = "",
        *,
        options: type | None = None,
        state: type | None = None,
        shares_state: bool = False,
        starters: Sequence[str] = (),
        mcp_servers: Sequence[McpServer] = (),
        accent: str = "",
        logo: str | Path | None = None,
        welcome: str = "",
        footer: str = "",
        links: Mapping[str, str] | None = None,
        css_variables: Mapping[str, CssValue] | None = None,
    ) -> None:
        """Make a chat without handlers.

        Args:
            name: the name of the chat, shown in the page; "" for that of the settings.
            options: a dataclass or pydantic model of the options of each handler.
            state: a dataclass or pydantic model of the state, whose fields have defaults.
            shares_state: whether clients of AG-UI see the state and may change it.
            starters: questions offered in an empty chat.
            mcp_servers: MCP servers whose tools the models of the configured service may call.
            accent: the accent colour, ``#rrggbb``.
            logo: the path of an SVG or PNG file.
            welcome: the text of an empty chat, instead of the tagline; Markdown.
            footer: the line below the message box, instead of the built-in one.
            links: addresses by label, below the message box.
            css_variables: values of CSS variables of the page, such as ``--ws-bg``; a pair is for
                light and dark.
        """
        self.name = name
        self.starters = _texts(starters)
        self.access: dict[str, ModelAccess] = {}
        """The callers of each handler that has ``roles`` or ``groups``, by its name."""
        self.look = ChatLook(
            accent=accent,
            logo=Path(logo) if logo else None,
            welcome=welcome,
            footer=footer,
            links=dict(links or {}),
            css_variables=dict(css_variables or {}),
        )
        self.hooks = Hooks()
        self.views: dict[str, ViewFunction[Any]] = {}
        """The views by name."""
        self.pages: list[SidePage] = []
        """The pages next to the chat."""
        self.mcp_servers = tuple(mcp_servers)
        self._options = options
        self._state = state
        self._shares_state = shares_state
        self._handlers: dict[str, HandlerModel] = {}
        self._tools: list[Tool] = []

    @overload
    def on_message(self, handler: HandlerT, /) -> HandlerT: ...

    @overload
    def on_message(
        self,
        *,
        name: str = "",
        title: str = "",
        description: str = "",
        icon: str | Path = "",
        starters: Sequence[str] = (),
        roles: Collection[Role] = (),
        groups: Collection[str] = (),
        options: type | None = None,
        state: type | None = None,
    ) -> Callable[[HandlerT], HandlerT]: ...

    def on_message(
        self,
        handler: Any = None,
        *,
        name: str = "",
        title: str = "",
        description: str = "",
        icon: str | Path = "",
        starters: Sequence[str] = (),
        roles: Collection[Role] = (),
        groups: Collection[str] = (),
        options: type | None = None,
        state: type | None = None,
    ) -> Any:
        """Register a handler, which is a model of the server; the first one is the default.

        A handler gets a ``Turn``. It is an async generator that yields text and parts, a coroutine
        function that returns them, or a generator or function, which runs in a thread.

        Args:
            handler: the handler, if used as a decorator without arguments.
            name: its id in the model picker, in ``/api/models`` and on the wire; by default the
                function's name.
            title: its display name.
            description: one sentence for the model picker.
            icon: the name of an icon of the page, an emoji, or the path of an image, which starts
                at the folder of the handler's file.
            starters: questions offered in an empty chat while it is chosen, instead of the chat's.
            roles: the roles that may use it; with ``groups``, those of either may.
            groups: the groups that may use it, as an OpenID provider, a proxy or a host
                application names them.
            options: the class of its options, instead of the chat's.
            state: the class of its state, instead of the chat's.

        Raises:
            ValueError: there is a handler of that name, a role is unknown, or the icon is none.
            TypeError: the handler does not take a turn, or the options have no JSON Schema.
        """

        def register(found: Handler) -> Handler:
            if not _takes_a_turn(found):
                raise TypeError(f"The handler {found.__name__!r} must take the turn: (turn).")
            model = name or found.__name__.replace("_", "-")
            if model in self._handlers:
                raise ValueError(f"There are two handlers called {model!r}: give one a name=…")
            if access := _access(roles, groups):
                self.access[model] = access
            self._handlers[model] = HandlerModel(
                info=ModelInfo(
                    id=model,
                    name=title or self._title(model),
                    owner=self.name or None,
                    description=description or _first_line(found.__doc__),
                    icon=icon_of(icon, folder=_folder_of(found)),
                    starters=_texts(starters),
                    options=schema_of(options or self._options),
                    shares_state=self._shares_state,
                ),
                handler=found,
                options=options or self._options,
                state=state or self._state,
                shares_state=self._shares_state,
            )
            return found

        return register if handler is None else register(handler)

    def on_start(self, hook: FunctionT) -> FunctionT:
        """Register the function that is called with the ``User`` when a page opens empty.

        It returns a ``Start``, a welcome text, a list of starters, or None for those of the chat.
        A failure, or one that takes longer than ``hooks.START_S``, leaves those of the chat.
        """
        self.hooks.on_start = hook
        return hook

    def on_feedback(self, hook: FunctionT) -> FunctionT:
        """Register the function that is called with a ``FeedbackEvent`` once it is stored."""
        self.hooks.on_feedback = hook
        return hook

    def provider(
        self,
        upstream: Provider | None = None,
        mcp_servers: Sequence[McpServer] = (),
        *,
        can_see: CanSee = is_unknown,
    ) -> HandlerProvider:
        """Return the handlers as a provider of models, in front of those of ``upstream``.

        Args:
            upstream: the provider of further models, None for none.
            mcp_servers: the MCP servers of the settings, besides those of the chat.
            can_see: returns whether an upstream model sees images.

        Raises:
            NoHandler: there are no handlers.
            NotConfigured, ValueError: the MCP servers can't be used; the text is a sentence.
        """
        self.check(has_models=upstream is not None)
        servers = [*self.mcp_servers, *mcp_servers]
        return HandlerProvider(
            list(self._handlers.values()), upstream, self._tools, servers, can_see=can_see
        )

    def check(self, *, has_models: bool) -> None:
        """Raise ``NoHandler`` if nothing would answer.

        Args:
            has_models: whether there are models besides the handlers.
        """
        has_tools = bool(self._tools or self.mcp_servers)
        if not self._handlers and not (has_tools and has_models):
            raise NoHandler("The chat has no handler: register one with @chat.on_message.")

    @overload
    def view(self, function: Callable[P, Any], /) -> ViewFunction[P]: ...

    @overload
    def view(
        self, *, name: str = "", text: Callable[..., str] | str = ""
    ) -> Callable[[Callable[P, Any]], ViewFunction[P]]: ...

    def view(
        self, function: Any = None, *, name: str = "", text: Callable[..., str] | str = ""
    ) -> Any:
        """Register a view: a function that builds NiceGUI elements from its arguments.

        Calling it in a handler returns a part with the arguments as JSON, to be yielded. Each page
        that shows the part calls the function, for its own user::

            @chat.view
            def totals(sums: dict):
                ui.label(f"{len(sums)} months")

        Args:
            function: the function, if used as a decorator without arguments.
            name: its name in the data; by default the function's.
            text: what represents it in exports and for other clients, or a function that returns
                it, with the same arguments.

        Raises:
            ValueError: there is a view of that name.
            TypeError: a parameter has no name.
        """

        def register(found: Callable[..., Any]) -> ViewFunction[Any]:
            view = ViewFunction(found, name=name or found.__name__, text=text)
            if view.name in self.views:
                raise ValueError(f"There are two views called {view.name!r}: give one a name=…")
            self.views[view.name] = view
            return view

        return register if function is None else register(function)

    def page(self, path: str, *, title: str = "") -> Callable[[FunctionT], FunctionT]:
        """Register a page next to the chat: a function that builds NiceGUI elements.

        It has the sign-in of the chat and a link in the sidebar. The function may be asynchronous,
        and gets the ``User`` if it takes an argument.

        Args:
            path: its path below that of the chat, such as ``/reports``.
            title: its title, and the text of the link; by default the words of the path.

        Raises:
            ValueError: the path is invalid, or there is a page at it.
        """

        def register(found: FunctionT) -> FunctionT:
            if any(page.path == path for page in self.pages):
                raise ValueError(f"There are two pages at {path!r}.")
            label = title or _in_words(path.rpartition("/")[2])
            self.pages.append(SidePage(path=path, title=label, function=found))
            return found

        return register

    @overload
    def tool(self, function: FunctionT, /) -> FunctionT: ...

    @overload
    def tool(
        self, *, name: str = "", approve: bool = False
    ) -> Callable[[FunctionT], FunctionT]: ...

    def tool(self, function: Any = None, *, name: str = "", approve: bool = False) -> Any:
        """Register a tool, which the models of the configured service may call.

        The types of the parameters and the docstring describe it to the model. A function without
        ``async`` runs in a thread. The result is text or JSON for the model; images, tables and
        figures are shown to the user. ``ToolFailed`` tells the model why a call has failed.

        Args:
            function: the function, if used as a decorator without arguments.
            name: its name for the model; by default the function's.
            approve: whether the user is asked before each call.

        Raises:
            TypeError: a parameter has no type.
        """

        def register(found: FunctionT) -> FunctionT:
            self._tools.append(Tool.of(found, name=name, approve=approve))
            return found

        return register if function is None else register(function)

    def _title(self, model: str) -> str:
        return self.name if self.name and not self._handlers else _in_words(model)


def _takes_a_turn(handler: Handler) -> bool:
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return False
    return True


def _access(roles: Collection[Role], groups: Collection[str]) -> ModelAccess | None:
    """Return who may use a handler, None for everyone. Raises ``ValueError``."""
    if unknown := _names(roles) - set(get_args(Role)):
        known = ", ".join(get_args(Role))
        raise ValueError(f"There is no role {min(unknown)!r}: the roles are {known}.")
    if not roles and not groups:
        return None
    return ModelAccess(roles=_names(roles), groups=_names(groups))  # type: ignore[arg-type]


def _names(names: Collection[str]) -> frozenset[str]:
    """Return names; a single text is one of them, not its letters."""
    return frozenset([names] if isinstance(names, str) else names)


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _folder_of(handler: Handler) -> Path:
    """Return the folder of a handler's file."""
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return Path(code.co_filename).parent if code else Path()


def _in_words(name: str) -> str:
    words = re.sub(r"[-_]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0].rstrip(".")
