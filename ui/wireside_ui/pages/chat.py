"""The chat page: ``/`` for a new conversation, ``/c/{id}`` for an existing one.

This module has the layout and connects elements with presenters: an event of an element is a call
of a presenter, and presenters show changes by calling the elements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastapi import Request
from nicegui import Client, background_tasks, ui

from wireside.api.policy import PAGE
from wireside.chat.service import ChatService
from wireside.errors import WiresideError
from wireside.extension.hooks import Start
from wireside.extension.pages import SidePage as OwnPage
from wireside.invisible_text import seen
from wireside.messages import ModelInfo
from wireside_ui.application_pages import ApplicationPages
from wireside_ui.components.banners import Banners
from wireside_ui.components.composer import Composer
from wireside_ui.components.header import Header
from wireside_ui.components.library import LibraryDialog
from wireside_ui.components.model_picker import ModelPicker
from wireside_ui.components.palette import Palette
from wireside_ui.components.preferences import Preferences, settings_of
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.components.status import Status
from wireside_ui.components.transcript import Transcript
from wireside_ui.components.welcome import Welcome
from wireside_ui.document import use_own_document
from wireside_ui.i18n.catalogue import direction_of, starters_in, words_in
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render
from wireside_ui.nicegui_socket import making, untaken
from wireside_ui.presenters.chat import ChatPresenter, Opening
from wireside_ui.presenters.link import NO_LINK, ChatLink
from wireside_ui.presenters.transcript import LIMITS
from wireside_ui.presenters.views import ChatViews
from wireside_ui.request_language import language_of_request
from wireside_ui.shell import shell_html
from wireside_ui.theme import Branding, head_html

READY_S = 0.05
"""Seconds that a page waits for models and for texts of a hook before it is sent without them."""


class ChatPages:
    """Registers the chat page at its paths."""

    def __init__(
        self,
        chat: ChatService,
        look: Branding,
        version: str,
        *,
        sharing: str = "off",
        has_account_pages: bool = True,
        view_names: Sequence[str] = (),
        own_pages: Sequence[OwnPage] = (),
    ) -> None:
        """``sharing`` is the setting for who may open links to conversations."""
        self._view_names = view_names
        self._own_pages = own_pages
        self._has_account_pages = has_account_pages
        self._chat = chat
        self._sharing = sharing
        self._look = look
        self._version = version
        self._markup = Markup(frozenset(host.lower() for host in look.image_hosts))

    def register(self, pages: ApplicationPages) -> None:
        """Add the page to those of the application."""
        policy = replace(
            PAGE,
            has_frames=bool(self._view_names),
            uses_microphone=self._chat.files.recording_s > 0,
        )
        pages.add("/", policy, self._serve)
        pages.add("/c/{conversation_id}", policy, self._serve)

    async def _serve(self, request: Request, client: Client) -> None:
        async with making(client):
            await self._build(request, client, request.path_params.get("conversation_id"))

    async def _build(self, request: Request, client: Client, conversation_id: str | None) -> None:
        language = language_of_request(request)
        direction = direction_of(language)
        base = request.scope.get("root_path", "")
        chat: ChatService = getattr(request.state, "chat", self._chat)
        ui.add_head_html(
            head_html(
                self._look,
                base=base,
                version=self._version,
                language=language,
                direction=direction,
                user="" if self._has_account_pages else chat.caller.user_id,
            )
        )
        use_own_document(
            client, "chat", version=self._version, language=language, direction=direction
        )
        page = ChatPage(
            chat=chat,
            look=self._look,
            markup=self._markup,
            client=client,
            language=language,
            base=base,
            version=self._version,
            sharing=self._sharing,
            has_account_pages=self._has_account_pages,
            models=await self._models(chat),
            view_names=self._view_names,
            own_pages=self._own_pages,
        )
        link = NO_LINK
        if conversation_id is None and chat.caller.may("chat"):
            link = ChatLink.parse(request.query_params, max_question_chars=chat.max_message_chars)
        await page.build(conversation_id, request.query_params.get("turn"), link)

    async def _models(self, chat: ChatService) -> Sequence[ModelInfo]:
        """Return the caller's models, so that the header need not change.

        None after ``READY_S``.
        """
        with suppress(TimeoutError, WiresideError):
            async with asyncio.timeout(READY_S):
                return await chat.models()
        return ()


class BrowserOf:
    """The connection of a page to its browser (``presenters.updates.BrowserConnection``)."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def is_open(self) -> bool:
        """Whether the browser is connected."""
        return self._client.has_socket_connection

    @property
    def queued(self) -> int:
        """Number of messages that the browser has not taken."""
        return untaken(self._client)


class PageFrame:
    """The page around the other elements (``presenters.views.FrameView``)."""

    def __init__(self, client: Client, name: str, saving: ui.label) -> None:
        """``name`` is the product's name, ``saving`` the warning that answers are not stored."""
        self._client = client
        self._name = name
        self._saving = saving

    def set_title(self, title: str, asking: int) -> None:
        """Set the title of the window; it begins with the number of open questions."""
        text = f"{title} · {self._name}" if title else self._name
        with self._client:
            ui.page_title(f"({asking}) {text}" if asking else text)

    def show_saving(self, is_behind: bool) -> None:
        """Show or hide the warning."""
        self._saving.set_visibility(is_behind)


class ChatPage:
    """One open page."""

    def __init__(
        self,
        *,
        chat: ChatService,
        look: Branding,
        markup: Markup,
        client: Client,
        language: str,
        base: str,
        version: str,
        sharing: str = "off",
        has_account_pages: bool = True,
        models: Sequence[ModelInfo] = (),
        view_names: Sequence[str] = (),
        own_pages: Sequence[OwnPage] = (),
    ) -> None:
        self._view_names = view_names
        self._own_pages = own_pages
        self._chat = chat
        self._look = look
        self._client = client
        self._language = language
        self._words = words_in(language)
        self._base = base
        self._version = version
        self._sharing = sharing
        self._has_account_pages = has_account_pages
        self._models = models
        self._is_reader = not chat.caller.may("chat")
        self._tasks: list[asyncio.Task[None]] = []
        self._markup = markup
        self._start_texts = Start()
        self._reading: asyncio.Task[Start | None] | None = None
        """Reads the texts for this user, if they take longer than ``READY_S``."""
        self._presenter = ChatPresenter(
            chat,
            markup=markup,
            language=language,
            base=base,
            connection=BrowserOf(client),
            models=models,
            welcome=look.welcome,
        )

    async def build(
        self, conversation_id: str | None, turn_id: str | None, link: ChatLink = NO_LINK
    ) -> None:
        """Create the page's elements; updates start with the first connection."""
        presenter = self._presenter
        opening = await presenter.load(conversation_id, link)
        if opening.missing:
            self._client.status_code = 503 if opening.problem else 404
        if opening.welcome == "empty" and not self._is_reader:
            await self._read_start()
        self._add_shell(opening, link)
        # NiceGUI's own container is a <main>: hide it and add ours, with a header and a <main>
        self._client.page_container.set_visibility(False)
        with self._client.layout, ui.element("div").classes("ws-page"):
            sidebar = self._sidebar(opening)
            header = self._header(opening)
            banners = Banners(banners=self._presenter.banners, words=self._words)
            Preferences(base=self._base, words=self._words, settings=self._settings)
            with ui.element("main").classes("ws-main"):
                is_strict = self._chat.saving.is_strict
                behind = "answers_stand_still" if is_strict else "saving_is_behind"
                saving = ui.label(self._words[behind]).classes("ws-sidebar-behind")
                saving.props("role=status")
                saving.set_visibility(self._chat.saving.is_behind)
                welcome = self._welcome(opening)
                transcript = self._transcript()
            composer, picker = self._composer(opening, link)
            self._library()
            self._palette()
        presenter.connect(
            ChatViews(
                frame=PageFrame(self._client, self._look.name, saving),
                banners=banners,
                header=header,
                transcript=transcript,
                composer=composer,
                welcome=welcome,
                picker=picker,
                sidebar=sidebar,
            )
        )
        await presenter.begin(opening, turn_id)
        self._client.on_connect(self._begin)
        self._client.on_delete(self._close)

    async def _read_start(self) -> None:
        """Read the texts for this user; those that take longer are shown when they are known."""
        reading = asyncio.create_task(self._chat.read_start_texts(), name="start texts")
        await asyncio.wait([reading], timeout=READY_S)
        if reading.done():
            self._start_texts = reading.result() or Start()
        else:
            self._reading = reading

    async def _show_start(self) -> None:
        if self._reading is not None and (texts := await self._reading) is not None:
            self._presenter.show_start(texts)

    # ---- layout ------------------------------------------------------------------------------

    @property
    def _logo(self) -> str:
        return f"{self._base}/logo?v={self._version}"

    @property
    def _tagline(self) -> str:
        return self._look.tagline or self._words["tagline"]

    @property
    def _starters(self) -> Sequence[str]:
        return () if self._is_reader else self._look.starters or starters_in(self._language)

    @property
    def _welcome_html(self) -> str:
        text = self._start_texts.welcome or self._look.welcome
        return render(text, self._markup) if text else ""

    @property
    def _first_starters(self) -> Sequence[str]:
        """The starters before the browser tells which model it has chosen."""
        own = self._models[0].starters if self._models and self._starters else ()
        return self._start_texts.starters or own or self._starters

    def _add_shell(self, opening: Opening, link: ChatLink) -> None:
        ui.add_body_html(
            shell_html(
                name=self._look.name,
                logo=self._logo,
                base=self._base,
                tagline=self._tagline,
                starters=self._first_starters,
                draft=None if link.is_temporary else opening.id,
                words=self._words,
                is_empty=opening.welcome == "empty",
                welcome=self._welcome_html,
                footer=self._look.footer,
                user="" if self._has_account_pages else self._chat.caller.user_id,
                title=seen(opening.title),
                is_reader=self._is_reader,
            )
        )

    @property
    def _settings(self) -> Sequence[str]:
        caller = self._chat.caller
        return settings_of(
            is_reader=self._is_reader,
            has_account=bool(caller.name) and self._has_account_pages,
            has_session=caller.credential.startswith("session "),
            is_sharing=self._sharing != "off" and not self._is_reader,
        )

    def _sidebar(self, opening: Opening) -> Sidebar:
        library, presenter = self._chat.library, self._presenter.sidebar
        return Sidebar(
            base=self._base,
            words=self._words,
            current=opening.id,
            items=opening.listing.conversations,
            cursor=opening.listing.cursor,
            live=library.answering,
            asking=opening.asking,
            folders=opening.folders,
            has_shared=opening.has_shared,
            on_need=presenter.give_page,
            on_search=presenter.search,
            on_rename=presenter.rename,
            on_pin=presenter.pin,
            on_archive=presenter.archive,
            on_move=presenter.move,
            on_tag=presenter.tag,
            on_delete=presenter.delete,
            on_restore=presenter.restore,
            on_duplicate=presenter.duplicate,
            on_preset=self._presenter.offer_preset,
            name=self._look.name,
            logo=self._logo,
            account=library.caller.name,
            has_account_pages=self._has_account_pages,
            can_sign_out=library.caller.credential.startswith("session "),
            is_admin=library.caller.may("admin"),
            sharing="off" if self._is_reader else self._sharing,
            is_reader=self._is_reader,
            pages=[(page.title, f"{self._base}{page.path}") for page in self._own_pages],
        )

    def _header(self, opening: Opening) -> Header:
        presenter, words, library = self._presenter, self._words, self._chat.library
        header = Header(
            base=self._base,
            words=words,
            conversation=library.view_of(opening.conversation.info)
            if opening.conversation
            else None,
            shared=opening.shared,
            on_rename=presenter.sidebar.rename,
            sharing="off" if self._is_reader else self._sharing,
            is_reader=self._is_reader,
        )
        with header:
            Status(base=self._base, words=words, on_visible=presenter.updates.set_visible)
        return header

    def _welcome(self, opening: Opening) -> Welcome:
        return Welcome(
            name=self._look.name,
            tagline=self._tagline,
            logo=self._logo,
            starters=self._starters,
            welcome=self._welcome_html,
            user_starters=self._start_texts.starters,
            words=self._words,
            view=opening.welcome,
            is_reader=self._is_reader,
        )

    def _transcript(self) -> Transcript:
        presenter = self._presenter
        return Transcript(
            on_action=presenter.act,
            on_need=presenter.give_rows,
            on_find=presenter.find,
            on_answer=presenter.answer_question,
            on_rewrite=presenter.rewrite,
            answer_text=presenter.answer_text,
            words=self._words,
            page_size=LIMITS.page_size,
            is_reader=self._is_reader,
            asks_consent=bool(self._chat.caller.user_id),
            assets=f"{self._base}/assets",
            files=f"{self._base}/api/files",
            uploads=f"{self._base}/api/uploads",
            views=f"{self._base}/view",
            view_names=self._view_names,
            version=self._version,
        )

    def _library(self) -> None:
        caller = self._chat.caller
        LibraryDialog(
            base=self._base,
            words=self._words,
            can_share=bool(caller.user_id) and caller.may("admin"),
            is_reader=self._is_reader,
        )

    def _palette(self) -> None:
        library, words = self._chat.library, self._words
        links = {page.title: f"{self._base}{page.path}" for page in self._own_pages}
        if library.caller.may("admin"):
            links[words["dashboard"]] = f"{self._base}/dashboard"
        links[words["doctor_title"]] = f"{self._base}/doctor"
        Palette(
            base=self._base,
            words=words,
            is_reader=self._is_reader,
            links=links,
            settings=self._settings,
        )

    def _composer(self, opening: Opening, link: ChatLink) -> tuple[Composer, ModelPicker]:
        presenter = self._presenter
        composer = Composer(
            conversation=opening.id or None,
            lost=opening.missing if not opening.problem else None,
            base=self._base,
            max_chars=self._chat.max_message_chars,
            max_files=self._chat.files.rules.per_message,
            max_file_mb=self._chat.files.rules.max_bytes // 2**20,
            recording_s=self._chat.files.recording_s,
            is_reader=self._is_reader,
            right=opening.shared.right if opening.shared else "own",
            footer=self._look.footer,
            links=self._look.links,
            words=self._words,
            on_send=presenter.send,
            on_stop=presenter.stop,
            on_edit_last=presenter.edit_last,
            on_open=presenter.open,
            on_choose=presenter.choose,
            on_compact=presenter.compact,
            options=opening.options,
            preset=opening.preset.options if opening.preset else None,
            link=link,
            link_preset=opening.link_preset.options if opening.link_preset else None,
        )
        with composer:
            picker = ModelPicker(
                models=self._models, words=self._words, on_retry=presenter.models.retry
            )
        return composer, picker

    # ---- lifetime ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start the page's tasks; after a reconnect, only trigger an update."""
        presenter = self._presenter
        presenter.updates.wake()
        if self._tasks:
            return
        self._start(presenter.updates.run, "chat page")
        self._start(presenter.transcript.late.run, "late answers")
        if not self._models:
            self._start(presenter.models.load, "models")
        if self._reading is not None:
            self._start(self._show_start, "start texts")
        presenter.watch()

    def _start(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._tasks.append(background_tasks.create(run(), name=name))

    def _close(self) -> None:
        self._presenter.close()
        if self._reading is not None:
            self._reading.cancel()
        for task in self._tasks:
            task.cancel()
