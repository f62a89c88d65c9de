"""Tests a chat of your own in the process of the test: without a browser, a key or a port."""

from wireside.tester.chat_tester import ANSWER_S, ChatTester, Door
from wireside.tester.reply import NoQuestion, Reply

__all__ = ["ANSWER_S", "ChatTester", "Door", "NoQuestion", "Reply"]
