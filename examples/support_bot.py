"""A support bot that asks for approval before it refunds an order.

wireside serve examples/support_bot.py:chat
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from wireside import Approve, AskText, Chat, Turn

ORDERS = {"1001": 25.0, "1002": 480.0}

chat = Chat("Support", starters=["Refund order 1001", "Where is my parcel?"])


@chat.on_message
async def support(turn: Turn) -> AsyncIterator[str]:
    """Answers questions about orders."""
    if "refund" not in turn.text.lower():
        yield "I can refund orders. Which one is it?"
        return
    found = re.search(r"\d{4}", turn.text)
    number = found[0] if found else await turn.ask(AskText("Which order?", placeholder="1001"))
    if number not in ORDERS:
        yield f"There is no order {number}."
        return
    async with turn.step("look up", input=number) as step:
        step.output = f"{ORDERS[number]:.2f} €"
    if await turn.ask(Approve(f"Refund {ORDERS[number]:.2f} € for order {number}?")):
        receipt = await turn.once("refund", lambda: refund(number))
        yield f"Refunded. Your receipt is {receipt}."
    else:
        yield "Nothing was refunded."


def refund(number: str) -> str:
    """Refund an order, in a real system; return the number of the receipt."""
    return f"R-{number}"
