"""Presenter of the models that a page offers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from wireside.chat.service import ChatService
from wireside.errors import WiresideError
from wireside.messages import ModelInfo, Options
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.presenters.views import ModelPickerView, WelcomeView

RETRY_S = (2.0, 30.0)
"""Initial and maximum delay in seconds before the list of models is retried; it doubles."""


class ModelsPresenter:
    """The models of the picker, the default first. Set ``picker`` and ``welcome`` first."""

    picker: ModelPickerView
    welcome: WelcomeView

    def __init__(self, chat: ChatService, language: str, offered: Sequence[ModelInfo] = ()) -> None:
        """``offered``: the models, if they are known already."""
        self._chat = chat
        self._language = language
        self._offered = offered
        self._is_retry_wanted = asyncio.Event()

    @property
    def names(self) -> Mapping[str, str]:
        """Display names by id."""
        return {model.id: model.name for model in self._offered}

    def context_tokens(self, model: str | None) -> int | None:
        """Return what the context of a model holds, None if that is unknown.

        None as ``model`` is the default model.
        """
        for info in self._offered:
            if model is None or info.id == model:
                return info.context_tokens
        return None

    def available(self, options: Options) -> Options:
        """Return ``options`` with a model that is not offered replaced by the default model."""
        ids = [model.id for model in self._offered]
        if not ids or options.model in ids:
            return options
        return replace(options, model=ids[0], values="")

    def retry(self) -> None:
        """Request the models immediately instead of after the current delay."""
        self._is_retry_wanted.set()

    async def load(self) -> None:
        """Show the models; until they are available, show the error and retry with back-off."""
        pause_s, longest_s = RETRY_S
        while not self._offered:
            try:
                self._offered = await self._chat.models()
            except WiresideError as error:
                self._show_problem(sentence_in(self._language, error))
            else:
                if self._offered:
                    self.picker.show(self._offered)
                    self.welcome.show_problem("")
                    return
                self._show_problem(words_in(self._language)["no_open_model"])
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._is_retry_wanted.wait()
            self._is_retry_wanted.clear()
            pause_s = min(2 * pause_s, longest_s)

    def _show_problem(self, sentence: str) -> None:
        self.picker.show_problem(sentence)
        self.welcome.show_problem(sentence)
