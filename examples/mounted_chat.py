"""A chat in a FastAPI application, whose users are those of the application.

uvicorn examples.mounted_chat:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from html import escape

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection

from wireside import Branding, Chat, HostUser, Turn, mount

PASSWORDS = {"ada": "countess", "grace": "admiral"}
"""An application of yours has its own users."""

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SECRET", "change it"))

chat = Chat("Help desk", starters=["Who am I?"])


@chat.on_message
async def answer(turn: Turn) -> AsyncIterator[str]:
    """Answers with the name of the signed-in user."""
    yield f"You are {turn.user.name}, and you wrote: {turn.text}"


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> str:
    """Show a page of the application, with a chat bubble for its users."""
    name = request.session.get("user")
    if name is None:
        return '<p><a href="/login">Sign in</a></p>'
    return (
        f'<h1>Hello {escape(name.title())}</h1><p><a href="/chat">Open the chat</a></p>'
        '<script src="/chat/assets/client/embed.js" data-label="Ask the help desk" async></script>'
    )


@app.get("/login", response_class=HTMLResponse)
async def login_form() -> str:
    """Show the form for signing in."""
    return (
        '<form method="post"><input name="name" placeholder="ada" autofocus>'
        '<input name="password" type="password" placeholder="countess"><button>Sign in</button>'
        "</form>"
    )


@app.post("/login")
async def login(
    request: Request,
    name: str = Form(),
    password: str = Form(),
    target: str = Query("/", alias="next"),
) -> Response:
    """Sign a user in, and go back to the page that asked for it."""
    if PASSWORDS.get(name) != password:
        return HTMLResponse("<p>Wrong name or password.</p>", status_code=403)
    request.session["user"] = name
    is_own_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return RedirectResponse(target if is_own_path else "/", status_code=303)


def current_user(connection: HTTPConnection) -> HostUser | None:
    """Return the user of a request to the chat."""
    name = connection.session.get("user")
    return HostUser(id=name, name=name.title()) if name else None


mount(
    app,
    "/chat",
    chat=chat,
    user=current_user,
    login_url="/login?next={next}",
    look=Branding(name="Help desk", accent="#0a7d4f"),
)
