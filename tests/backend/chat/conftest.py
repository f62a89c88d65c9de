"""Fixtures of the chat's tests."""

from __future__ import annotations

import pytest

from tests.backend.chat.sharing_users import ADA, EVE, GRACE, MARY
from wireside.chat.service import ChatService
from wireside.records import UserAccount
from wireside.store.store import SqlStore


@pytest.fixture
async def users(chat: ChatService, store: SqlStore) -> dict[str, ChatService]:
    for caller in (ADA, GRACE, MARY, EVE):
        user = UserAccount(id=caller.user_id, name=caller.name, role=caller.role, created_at=1.0)
        assert await store.accounts.add_user(user)
    return {caller.name.title(): chat.for_caller(caller) for caller in (ADA, GRACE, MARY, EVE)}
