"""Adapters of agent frameworks: each streams an agent's run as the parts of an answer.

A module a framework, which imports it; nothing in the server imports these modules. The history of
the conversation is in ``turn.messages``, and ``pauses`` keeps an agent that waits for approval.
"""
