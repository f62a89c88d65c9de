"""The transcript."""

from wireside_ui.components.transcript.transcript import (
    WORDS,
    Action,
    ActionName,
    Row,
    State,
    Tool,
    Transcript,
)

__all__ = ["WORDS", "Action", "ActionName", "Row", "State", "Tool", "Transcript"]
