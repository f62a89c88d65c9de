"""Every endpoint of a server: its routes and the events of its chat page.

For each: what to send there with another user's ids, and which permission it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tests.backend.auth.whole_server import SECRET, Person, Running, ask
from wireside_ui.html_pages import errors
from wireside_ui.presenters.rows import ActionName

Need = Literal["nothing", "read", "chat", "admin", "a person"]
"""What a known caller must be allowed to do.

``a person`` is for a user's own things: it excludes API keys, unless the key is an administrator's.
"""


async def things_of(server: Running, who: Person, admin: Person | None = None) -> dict[str, str]:
    """Create one of each kind of thing as a user; return the ids.

    ``admin`` invites another user; None: ``who`` is an administrator.
    """
    upload = await who.http.post("/api/uploads", params={"name": "a.txt"}, content=SECRET)
    file_id = upload.json()["id"]
    frames = await ask(
        server.socket,
        who,
        type="chat",
        message=SECRET,
        conversation="new",
        attachments=[file_id],
    )
    conversation_id, stream = frames[0]["conversation"], frames[0]["stream"]
    alone = await ask(server.socket, who, type="chat", message=SECRET, key="one")
    deleted = (await who.http.post("/api/conversations", json={"title": "gone"})).json()["id"]
    await who.http.delete(f"/api/conversations/{deleted}")
    shown = (await who.http.get(f"/api/conversations/{conversation_id}")).json()
    share = (await who.http.post(f"/api/conversations/{conversation_id}/shares")).json()
    keys = (await who.http.get("/api/keys")).json()
    sessions = (await who.http.get("/api/sessions")).json()
    prompt = await who.http.post("/api/prompts", json={"name": "secret", "text": SECRET})
    preset = await who.http.post("/api/presets", json={"name": "secret", "system": SECRET})
    await who.http.put("/api/presets/default", json={"preset": preset.json()["id"]})
    folder = await who.http.post("/api/folders", json={"name": SECRET})
    folder_id = folder.json()["id"]
    await who.http.patch(f"/api/conversations/{conversation_id}", json={"folder": folder_id})
    mary = await server.invite(admin or who, f"mary {who.id[:8]}")
    await mary.http.aclose()
    comment_id = await _comment_on(who, mary, conversation_id, shown["turns"][0]["id"])
    return {
        "comment_id": comment_id,
        "folder_id": folder_id,
        "prompt_id": prompt.json()["id"],
        "preset_id": preset.json()["id"],
        "conversation_id": conversation_id,
        "file_id": file_id,
        "stream": stream,
        "response": f"resp_{stream}",
        "lone_stream": alone[0]["stream"],
        "turn": shown["turns"][0]["id"],
        "turn_id": shown["turns"][0]["id"],
        "deleted_id": deleted,
        "share_id": share["id"],
        "secret": share["link"].rpartition("/")[2],
        "key_id": keys[0]["id"],
        "session_id": sessions[0]["id"],
        "user_id": who.id,
    }


async def _comment_on(who: Person, mary: Person, conversation_id: str, turn: str) -> str:
    """Comment on a turn, while its conversation is shared with Mary; return the comment's id."""
    path = f"/api/conversations/{conversation_id}"
    await who.http.put(f"{path}/members", json={"name": f"mary {who.id[:8]}"})
    comment = await who.http.post(f"{path}/comments", json={"turn": turn, "text": SECRET})
    await who.http.delete(f"{path}/members", params={"kind": "user", "id": mary.id})
    return str(comment.json()["id"])


@dataclass(frozen=True)
class Door:
    """A route: what to send to it with another user's ids, and its allowed statuses.

    Eve is another user, and the anonymous caller has no account. Whatever the status, no data of
    Ada's is in the response, and none of it changes. ``needs`` is what a known caller must be
    allowed to do, regardless of the owner.
    """

    eve: int
    needs: Need
    nobody: int = 401
    body: Any = None
    forms: tuple[dict[str, str], ...] = ()
    query: dict[str, str] = field(default_factory=dict)

    def request(
        self, path: str, form: dict[str, str] | None, ids: dict[str, str]
    ) -> tuple[str, dict[str, Any]]:
        """Return an address and what to send to it, with ``ids`` filled in."""

        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: filled(one) for key, one in value.items()}
            if isinstance(value, list):
                return [filled(one) for one in value]
            return (
                value.format(**ids, what="nothing", model="nothing")
                if isinstance(value, str)
                else value
            )

        sent = {"params": filled(self.query), "json": filled(self.body)}
        return filled(path), sent if form is None else {**sent, "data": filled(form)}


OTHERS = 404
SIGN_IN = 303

ASKED: dict[str, Any] = {"id": "t0", "parent": None, "question": "Hi", "answer": []}
FILE = {
    "format": "wireside",
    "version": 1,
    "conversations": [{"title": "mine", "tags": [], "turns": [ASKED]}],
}
"""A file that an import accepts."""

DOORS = {
    "GET /api/openapi.json": Door(200, "nothing"),
    "GET /api/health/live": Door(200, "nothing", 200),
    "GET /api/health/ready": Door(200, "nothing", 200),
    "GET /api/models": Door(200, "nothing"),
    "GET /v1/models": Door(200, "nothing"),
    "GET /v1/models/{model}": Door(404, "nothing"),
    "POST /v1/chat/completions": Door(
        200,
        "chat",
        body={
            "messages": [{"role": "user", "content": "Hi"}],
            "metadata": {"conversation": "{conversation_id}"},
        },
    ),
    "POST /v1/responses": Door(
        400, "chat", body={"input": "Hi", "previous_response_id": "{response}"}
    ),
    "DELETE /v1/responses/{response}": Door(OTHERS, "chat"),
    "POST /v1/responses/{response}/cancel": Door(OTHERS, "chat"),
    "GET /metrics": Door(200, "nothing", 200),
    "GET /api/conversations": Door(200, "read"),
    "POST /api/conversations": Door(201, "chat", body={"title": "mine"}),
    "GET /api/conversations/tags": Door(200, "read"),
    "GET /api/conversations/search": Door(200, "read", query={"q": SECRET[:5]}),
    "GET /api/conversations/export": Door(OTHERS, "read", query={"ids": "{conversation_id}"}),
    "POST /api/conversations/import": Door(200, "chat", body=FILE),
    "GET /api/conversations/{conversation_id}": Door(OTHERS, "read"),
    "PATCH /api/conversations/{conversation_id}": Door(OTHERS, "chat", body={"title": "mine now"}),
    "DELETE /api/conversations/{conversation_id}": Door(OTHERS, "chat"),
    "POST /api/conversations/{conversation_id}/restore": Door(OTHERS, "chat"),
    "POST /api/conversations/{conversation_id}/copies": Door(
        OTHERS, "chat", body={"turn": "{turn}"}
    ),
    "POST /api/conversations/{conversation_id}/turns/{turn_id}/edits": Door(
        OTHERS, "chat", body={"text": "mine now"}
    ),
    "POST /api/conversations/{conversation_id}/summaries": Door(OTHERS, "chat"),
    "DELETE /api/conversations/{conversation_id}/summaries/{turn_id}": Door(OTHERS, "chat"),
    "GET /api/conversations/{conversation_id}/members": Door(OTHERS, "read"),
    "PUT /api/conversations/{conversation_id}/members": Door(
        OTHERS, "chat", body={"name": "eve", "access": "reply"}
    ),
    "DELETE /api/conversations/{conversation_id}/members": Door(
        OTHERS, "chat", query={"kind": "user", "id": "{user_id}"}
    ),
    "GET /api/conversations/{conversation_id}/comments": Door(OTHERS, "read"),
    "POST /api/conversations/{conversation_id}/comments": Door(
        OTHERS, "chat", body={"turn": "{turn}", "text": "mine"}
    ),
    "PATCH /api/conversations/{conversation_id}/comments/{comment_id}": Door(
        OTHERS, "chat", body={"text": "mine now"}
    ),
    "DELETE /api/conversations/{conversation_id}/comments/{comment_id}": Door(OTHERS, "chat"),
    "GET /api/conversations/{conversation_id}/usage": Door(OTHERS, "read"),
    "GET /api/conversations/{conversation_id}/export": Door(
        OTHERS, "read", query={"format": "json"}
    ),
    "POST /api/conversations/{conversation_id}/answers": Door(
        OTHERS, "chat", body={"part": "p", "value": True}
    ),
    "POST /api/uploads": Door(201, "chat", body={"a": "file"}, query={"name": "a.json"}),
    "POST /api/transcriptions": Door(400, "chat", body={"no": "audio"}),
    "GET /api/files/{file_id}": Door(OTHERS, "read"),
    "DELETE /api/files/{file_id}": Door(OTHERS, "chat"),
    "GET /api/folders": Door(200, "read"),
    "POST /api/folders": Door(201, "chat", body={"name": "mine"}),
    "PATCH /api/folders/{folder_id}": Door(OTHERS, "chat", body={"name": "mine now"}),
    "DELETE /api/folders/{folder_id}": Door(OTHERS, "chat"),
    "GET /api/prompts": Door(200, "read"),
    "POST /api/prompts": Door(201, "chat", body={"name": "n", "text": "t"}),
    "GET /api/prompts/export": Door(200, "read"),
    "POST /api/prompts/import": Door(200, "chat", body=[{"name": "n", "text": "t"}]),
    "PATCH /api/prompts/{prompt_id}": Door(OTHERS, "chat", body={"name": "mine now"}),
    "DELETE /api/prompts/{prompt_id}": Door(OTHERS, "chat"),
    "GET /api/presets": Door(200, "read"),
    "POST /api/presets": Door(201, "chat", body={"name": "n"}),
    "PUT /api/presets/default": Door(OTHERS, "chat", body={"preset": "{preset_id}"}),
    "PATCH /api/presets/{preset_id}": Door(OTHERS, "chat", body={"name": "mine now"}),
    "DELETE /api/presets/{preset_id}": Door(OTHERS, "chat"),
    "POST /api/conversations/{conversation_id}/shares": Door(OTHERS, "chat"),
    "GET /api/me": Door(200, "nothing"),
    "POST /api/tickets": Door(201, "nothing"),
    "GET /api/keys": Door(200, "a person"),
    "POST /api/keys": Door(201, "a person", body={"name": "n", "scopes": ["read"]}),
    "DELETE /api/keys/{key_id}": Door(OTHERS, "a person"),
    "GET /api/sessions": Door(200, "a person"),
    "DELETE /api/sessions/{session_id}": Door(OTHERS, "a person"),
    "GET /api/users": Door(403, "admin"),
    "POST /api/users": Door(403, "admin", body={"role": "admin"}),
    "PATCH /api/users/{user_id}": Door(403, "admin", body={"role": "viewer", "disabled": True}),
    "DELETE /api/users/{user_id}": Door(403, "admin"),
    "POST /api/users/{user_id}/reset": Door(403, "admin"),
    "GET /api/audit": Door(403, "admin"),
    "GET /api/shares": Door(200, "read"),
    "DELETE /api/shares/{share_id}": Door(OTHERS, "chat"),
    "GET /api/doctor/echo": Door(200, "nothing"),
    "POST /api/doctor/echo": Door(200, "nothing"),
    "GET /api/doctor/stream": Door(200, "nothing"),
    "POST /api/doctor/large": Door(200, "nothing"),
    "POST /api/doctor/judge": Door(400, "nothing", body={"what": "{conversation_id}"}),
    "GET /api/doctor/judge": Door(422, "nothing"),
    "DELETE /api/ag-ui/{conversation_id}": Door(OTHERS, "chat"),
    "GET /api/ai-sdk/chat/{conversation_id}/stream": Door(204, "chat"),
    "DELETE /api/ai-sdk/chat/{conversation_id}/stream": Door(OTHERS, "chat"),
    # a client's own name for a chat finds nothing of another user's: it begins a chat
    "POST /api/ai-sdk/chat": Door(
        200,
        "chat",
        body={
            "id": "{conversation_id}",
            "messages": [
                {"id": "{turn}", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
            ],
        },
    ),
    "POST /api/ag-ui": Door(
        200,
        "chat",
        body={
            "threadId": "{conversation_id}",
            "runId": "{stream}",
            "messages": [{"id": "{turn}", "role": "user", "content": "Hi"}],
        },
    ),
    "GET /api/streams/{stream}": Door(OTHERS, "read"),
    "GET /docs/protocol": Door(200, "nothing", 200),
    "GET /docs": Door(307, "nothing", 307),
    "GET /asyncapi.json": Door(200, "nothing", 200),
    "GET /logo": Door(200, "nothing", 200),
    "GET /manifest.webmanifest": Door(200, "nothing", 200),
    "GET /service-worker.js": Door(200, "nothing", 200),
    "GET /icon.svg": Door(200, "nothing", 200),
    "GET /favicon.ico": Door(200, "nothing", 200),
    "GET /wireside/favicon.ico": Door(200, "nothing", 200),
    "GET /login": Door(SIGN_IN, "nothing", 200, query={"next": "/c/{conversation_id}"}),
    "POST /login": Door(
        403, "nothing", 403, forms=({"name": "ada", "password": "guessed at random"},)
    ),
    "GET /join": Door(404, "nothing", 404, query={"link": "{secret}"}),
    "POST /join": Door(
        404, "nothing", 404, forms=({"link": "{secret}", "password": "guessed at random"},)
    ),
    "GET /oidc/login": Door(303, "nothing", 303),
    "GET /oidc/callback": Door(303, "nothing", 303, query={"state": "{session_id}", "code": "c"}),
    "GET /doctor": Door(200, "nothing", SIGN_IN),
    "GET /settings": Door(200, "a person", SIGN_IN),
    "POST /settings/{what}": Door(404, "nothing", forms=({},)),
    "POST /settings/password": Door(
        400, "a person", forms=({"old": "none of theirs", "new": "a new long password"},)
    ),
    "POST /settings/keys": Door(303, "a person", forms=({"name": "n", "scope": "read"},)),
    "POST /settings/keys/revoke": Door(404, "a person", forms=({"key": "{key_id}"},)),
    "POST /settings/shares/revoke": Door(404, "chat", forms=({"share": "{share_id}"},)),
    "POST /settings/sessions": Door(404, "a person", forms=({"session": "{session_id}"},)),
    "GET /people": Door(403, "admin", SIGN_IN),
    "POST /people/{user_id}": Door(
        403,
        "admin",
        forms=(
            {"do": "disable"},
            {"do": "enable"},
            {"do": "role", "role": "viewer"},
            {"do": "reset"},
            {"do": "remove"},
            {"do": "something else"},
        ),
    ),
    "POST /people/invite": Door(
        403, "admin", forms=({"role": "admin"}, {"take_back": "{share_id}"})
    ),
    "GET /audit": Door(403, "admin", SIGN_IN, query={"q": "ada"}),
    "GET /admin": Door(303, "nothing", SIGN_IN),
    "GET /admin/providers": Door(403, "admin", SIGN_IN),
    "POST /admin/providers": Door(
        403,
        "admin",
        forms=(
            {"do": "add", "name": "x", "base_url": "http://127.0.0.1:9/v1"},
            {"do": "change", "name": "x"},
            {"do": "test", "name": "x"},
            {"do": "disable", "name": "x"},
            {"do": "remove", "name": "x"},
        ),
    ),
    "GET /admin/models": Door(403, "admin", SIGN_IN),
    "POST /admin/models": Door(
        403,
        "admin",
        forms=(
            {"do": "hide", "model": "no such model"},
            {"do": "price", "model": "no such model", "input": "1"},
            {"do": "preset", "preset": "{preset_id}"},
        ),
    ),
    "GET /admin/banners": Door(403, "admin", SIGN_IN),
    "POST /admin/banners": Door(
        403, "admin", forms=({"do": "put", "text": "Hi", "severity": "info"}, {"do": "remove"})
    ),
    "GET /admin/usage": Door(403, "admin", SIGN_IN),
    "GET /admin/feedback": Door(403, "admin", SIGN_IN, query={"model": "nothing"}),
    "GET /api/feedback": Door(403, "admin"),
    "GET /api/feedback.csv": Door(403, "admin"),
    "GET /api/usage": Door(403, "admin"),
    "GET /api/usage/own": Door(200, "read"),
    "GET /api/usage.csv": Door(403, "admin"),
    "GET /dashboard": Door(SIGN_IN, "admin", SIGN_IN),
    "GET /": Door(200, "read", SIGN_IN, query={"turn": "{turn}"}),
    "GET /c/{conversation_id}": Door(OTHERS, "read", SIGN_IN, query={"turn": "{turn}"}),
    # behind those that make conversations of the caller
    "DELETE /api/conversations": Door(204, "chat", query={"all": "true"}),
    "POST /logout": Door(303, "nothing", forms=({},)),  # the last one: it signs Eve out
}

ELSEWHERE = {
    "GET /v1/responses/{response}": "test_no_response_opens_to_another_user",
    "GET /v1/responses/{response}/input_items": "test_no_response_opens_to_another_user",
    "GET /s/{secret}": "test_what_is_shared_can_be_read_until_it_is_not",
    "WS /ws/ai-chat": "test_no_frame_reaches_another_users_streams",
    "WS /ws/ai-sdk": "test_no_frame_of_the_ai_sdk_reaches_another_users_chats",
    "WS /ws/doctor": "test_the_doctors_socket_needs_somebody",
    "MOUNT /_nicegui_ws": "test_no_event_of_a_page_reaches_another_users_things",
}
"""Endpoints that are not request and response, and the test that covers each."""

NOBODYS = ("/assets", "/_nicegui/", "/api/{path}", "/v1/{path}")
"""Static files, and the catch-alls that answer 404."""


def doors_of(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """Yield every endpoint of a server."""
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from doors_of(included.routes, prefix)
            continue
        if isinstance(route, errors.UnknownPath):
            continue  # the catch-all that answers 404
        path = re.sub(":path}", "}", prefix + route.path)
        if path.startswith(NOBODYS):
            continue
        kind = type(route).__name__
        if kind == "Mount" and path != "/_nicegui_ws":
            yield from doors_of(route.routes, path)
        elif kind == "Mount":
            yield f"MOUNT {path}"
        elif kind == "WebSocketRoute":
            yield f"WS {path}"
        else:
            methods = route.methods or route.app.methods
            yield from (f"{method} {path}" for method in methods - {"HEAD"})


def foreign(ids: dict[str, str]) -> dict[str, list[Any]]:
    """Every event that the chat page's components listen to, with Ada's data in it."""
    conversation, turn, stream = ids["conversation_id"], ids["turn"], ids["stream"]
    names = [conversation, ids["deleted_id"], turn, stream, ids["share_id"], ids["user_id"]]
    sending = {"question": "Hi", "options": {}}
    actions = get_args(ActionName)
    return {
        "q-layout sub_pages_open": [f"/c/{conversation}"],
        "q-layout sub_pages_navigate": [f"/c/{conversation}"],
        "sidebar need": [
            {"cursor": cursor, "scope": scope}
            for cursor in (None, *names)
            for scope in (
                {"kind": "list"},
                {"kind": "archive"},
                {"kind": "folder", "of": ids["folder_id"]},
            )
        ],
        "sidebar search": [
            {"query": query, "cursor": None} for query in (SECRET[:7], SECRET[0], *names)
        ],
        "sidebar rename": [{"id": name, "title": "mine now"} for name in names],
        "sidebar pin": [{"ids": names, "on": on} for on in (True, False)],
        "sidebar move": [{"ids": names, "folder": folder} for folder in (None, ids["folder_id"])],
        "sidebar tag": [{"ids": names, "tag": "mine", "on": on} for on in (True, False)],
        "sidebar archive": [{"ids": names, "on": on} for on in (True, False)],
        "sidebar delete": [{"ids": [name]} for name in names],
        "sidebar restore": [{"ids": names}],
        "sidebar duplicate": [{"id": name} for name in names],
        "sidebar preset": [{"id": name} for name in names],
        "header rename": [{"id": name, "title": "mine now"} for name in names],
        "model_picker retry": [None],
        "status visible": [False, True],
        "transcript action": [
            {"name": action, "id": name, "words": "mine", "automatic": automatic}
            for action in actions
            for name in (turn, stream)
            for automatic in (True, False)
        ],
        "transcript answer": [
            {"id": name, "part": "question-1", "value": True} for name in (turn, stream)
        ],
        "transcript rewrite": [
            {"id": name, "turn": f"new-{name}", "text": "mine"} for name in (turn, stream)
        ],
        "transcript need": [0, 1],
        # not SECRET itself: the reply to a search contains its query
        "transcript find": [{"query": query} for query in (SECRET[:7], SECRET[:-1], *names)],
        "transcript copy": [{"id": name, "ask": "a"} for name in names],
        "composer send": [
            {**sending, "turn_id": turn, "edits": None},
            {**sending, "turn_id": turn, "edits": turn},
            {**sending, "turn_id": "edits", "edits": turn},
            {**sending, "turn_id": "stream", "edits": stream},
            {**sending, "turn_id": "temporary", "edits": turn, "temporary": True},
            {**sending, "turn_id": stream, "edits": None},
            {**sending, "turn_id": turn, "edits": None, "steers": True},
            {**sending, "turn_id": turn, "edits": None, "compared": ["lab-1", "lab-2"]},
            {**sending, "turn_id": "file", "edits": None, "attachments": [ids["file_id"]]},
        ],
        "composer choose": [{"id": name, "options": {"system": "mine now"}} for name in names],
        "composer stop": [None],
        "composer compact": [None],
        "composer editLast": [None],
        "composer open": [
            *({"id": name, "turn": turn} for name in names),
            *({"id": name, "turn": None} for name in names),
        ],
    }
