"""Builds the look of the pages: name, logo, colours and texts."""

from __future__ import annotations

from dataclasses import asdict, replace

from wireside.extension.chat import Chat, ChatLook
from wireside.settings.model import Settings
from wireside_ui.theme import Branding


def look_of(
    settings: Settings, chat: Chat | None = None, *, given: Branding | None = None
) -> Branding:
    """Return the look of the pages.

    Args:
        settings: name, tagline, logo, accent and theme.
        chat: the chat, whose look is used where the settings and ``given`` have none.
        given: the look of a mounted chat, instead of that of the settings.

    Raises:
        ValueError: a colour, a link or a CSS variable is invalid; the text is a sentence.
    """
    look = given or Branding(
        name=settings.name,
        tagline=settings.tagline,
        logo=settings.logo,
        accent=settings.accent,
        starters=settings.starters,
        theme=settings.theme,
        image_hosts=settings.image_hosts,
    )
    return look if chat is None else _with(look, chat.look)


def _with(look: Branding, of_chat: ChatLook) -> Branding:
    """Return a look with what only the chat has."""
    of_look = asdict(look)
    changes = {name: value for name, value in asdict(of_chat).items() if not of_look[name]}
    return replace(look, **{name: value for name, value in changes.items() if value})
