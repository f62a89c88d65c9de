"""Wireside: a streaming AI chat in pure Python.

The public names are imported when they are first used, so that ``wireside --version`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wireside.app import Application, create_app
    from wireside.auth.host import HostUser
    from wireside.errors import ProviderError, UnknownModel, WiresideError
    from wireside.extension.chat import Chat
    from wireside.extension.hooks import FeedbackEvent, Start
    from wireside.extension.mcp.servers import McpServer
    from wireside.extension.parts import File, Image, Reasoning, Show, Source, Table, View
    from wireside.extension.questions import Approve, AskFile, AskText, Choose, Field, Form
    from wireside.extension.tools import ToolFailed
    from wireside.extension.turn import Turn, User
    from wireside.messages import (
        Delta,
        Finished,
        Message,
        ModelInfo,
        ModelRequest,
        ReasoningDelta,
        TextDelta,
        ToolDelta,
        Usage,
    )
    from wireside.mounting import MountedChat, mount
    from wireside.ports.provider import Provider
    from wireside.settings.model import Settings
    from wireside.tester import ChatTester, Reply
    from wireside.version import __version__
    from wireside_ui.theme import Branding

__all__ = [
    "Application",
    "Approve",
    "AskFile",
    "AskText",
    "Branding",
    "Chat",
    "ChatTester",
    "Choose",
    "Delta",
    "FeedbackEvent",
    "Field",
    "File",
    "Finished",
    "Form",
    "HostUser",
    "Image",
    "McpServer",
    "Message",
    "ModelInfo",
    "ModelRequest",
    "MountedChat",
    "Provider",
    "ProviderError",
    "Reasoning",
    "ReasoningDelta",
    "Reply",
    "Settings",
    "Show",
    "Source",
    "Start",
    "Table",
    "TextDelta",
    "ToolDelta",
    "ToolFailed",
    "Turn",
    "UnknownModel",
    "Usage",
    "User",
    "View",
    "WiresideError",
    "__version__",
    "create_app",
    "mount",
]

_NAMES_BY_MODULE = {
    "wireside.app": ("Application", "create_app"),
    "wireside.auth.host": ("HostUser",),
    "wireside.extension.chat": ("Chat",),
    "wireside.extension.hooks": ("FeedbackEvent", "Start"),
    "wireside.extension.mcp.servers": ("McpServer",),
    "wireside.extension.parts": ("File", "Image", "Reasoning", "Show", "Source", "Table", "View"),
    "wireside.extension.questions": ("Approve", "AskFile", "AskText", "Choose", "Field", "Form"),
    "wireside.extension.tools": ("ToolFailed",),
    "wireside.extension.turn": ("Turn", "User"),
    "wireside.errors": ("ProviderError", "UnknownModel", "WiresideError"),
    "wireside.messages": (
        "Delta",
        "Finished",
        "Message",
        "ModelInfo",
        "ModelRequest",
        "ReasoningDelta",
        "TextDelta",
        "ToolDelta",
        "Usage",
    ),
    "wireside.mounting": ("MountedChat", "mount"),
    "wireside.ports.provider": ("Provider",),
    "wireside.settings.model": ("Settings",),
    "wireside.tester": ("ChatTester", "Reply"),
    "wireside.version": ("__version__",),
    "wireside_ui.theme": ("Branding",),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
