"""Builds the look of the pages: name, logo and colours."""

from __future__ import annotations

from wireside.settings.model import Settings
from wireside_ui.theme import Branding


def look_of(settings: Settings) -> Branding:
    """Return the look that the settings select."""
    return Branding(
        name=settings.name,
        tagline=settings.tagline,
        logo=settings.logo,
        accent=settings.accent,
        starters=settings.starters,
        theme=settings.theme,
        image_hosts=settings.image_hosts,
    )
