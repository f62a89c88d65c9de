"""English."""

from __future__ import annotations

from collections.abc import Mapping

from wireside_ui.components.transcript import WORDS as TRANSCRIPT_WORDS

WORDS: Mapping[str, str] = {
    **TRANSCRIPT_WORDS,
    "tagline": "Ask anything. The answer keeps going, even if you look away.",
    "starters": "Questions to begin with",
    "new_chat": "New chat",
    "missing_title": "Nothing here",
    "missing": "This conversation is not here any more.",
    "salvaged": "What you had not sent yet is kept here.",
    "no_script": "This page needs JavaScript.",
    "find_model": "Find a model",
    "no_such_model": "No model of that name",
    "connect_now": "Connect now",
    "message_box": "Message box",
    "too_big": "This text is too big to be sent at once.",
    "settings_note": "For every question you ask from here on.",
    "reset": "Reset",
    "no_model": "No model yet",
    "model": "Model",
    "loading_models": "Looking for models…",
    "theme": "Colours",
    "theme_system": "as the system",
    "theme_light": "light",
    "theme_dark": "dark",
    "shortcuts": "Keyboard shortcuts",
    "close": "Close",
    "connection": "Connection",
    "connecting": "Connecting…",
    "connected": "Connected",
    "reconnecting": "Reconnecting…",
    "disconnected": "Disconnected",
    "messages_per_second": "Messages per second",
    "average_latency": "Average latency",
    "reconnect_count": "Reconnects",
    "key_send": "Send",
    "key_newline": "New line",
    "key_stop": "Stop the answer",
    "key_edit": "In an empty box: edit the last message",
    "key_focus": "Go to the message box",
    "placeholder": "Ask me anything…",
    "send": "Send",
    "cancel": "Cancel",
    "editing": "Editing a message; what follows it will be asked anew",
    "offline_hint": "No connection: your text is kept and can be sent in a moment.",
    "too_long": "{over} characters too many; at most {limit} fit.",
    "disclaimer": "Answers may be wrong. Check what matters.",
    "settings": "Model settings",
    "system": "Instructions",
    "system_placeholder": "How the model should behave",
    "temperature": "Temperature",
    "max_tokens": "Longest answer (tokens)",
    "by_default": "Default",
}

STARTERS = (
    "Explain WebSockets as if I were ten",
    "Write a Python function that checks for palindromes",
    "Give me three ideas for a rainy weekend",
    "What makes a good question?",
)

ERRORS: Mapping[str, str] = {}
"""Errors speak English by themselves, and tell more."""
