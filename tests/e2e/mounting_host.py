"""A host application with its own NiceGUI page, a sign-in, and two mounted chats."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection

from wireside import (
    Branding,
    Delta,
    Finished,
    HostUser,
    ModelInfo,
    ModelRequest,
    Provider,
    Settings,
    TextDelta,
    mount,
)

LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="14" fill="#b3261e"/><path d="M18 46V30m14 16V18m14 28V36"
stroke="white" stroke-width="7" stroke-linecap="round"/></svg>"""


class Echo(Provider):
    kind = "echo"

    def __init__(self, says: str) -> None:
        self._says = says

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo(id="echo", name=self._says)]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        for word in f"**{self._says}** heard: {request.messages[-1].text}".split(" "):
            yield TextDelta(f"{word} ")
        yield Finished("stop")


def current_user(connection: HTTPConnection) -> HostUser | None:
    name = connection.session.get("user")
    return HostUser(id=name, name=name.title()) if name else None


def build(folder: Path, *, has_nicegui: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/sign-in", response_model=None)
    async def sign_in(request: Request, name: str = "", to: str = "/") -> Response:
        if not name:
            # without this icon, a browser asks for one of NiceGUI, which begins a session; if that
            # response came after the sign-in, its cookie would replace that of the user
            icon = '<link rel="icon" href="data:,">'
            return HTMLResponse(f"{icon}<title>Sign in</title><h1>The host's sign-in</h1>")
        request.session["user"] = name
        return RedirectResponse(to)

    @app.get("/with-bubble")
    async def with_bubble() -> HTMLResponse:
        return HTMLResponse(
            "<!doctype html><html lang=en><title>A shop</title>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<body style='font: 18px/1.6 sans-serif; margin: 2rem; max-width: 44rem'>"
            "<h1>A shop</h1><p>Its own page, with a chat.</p>"
            '<script src="help/assets/client/embed.js" data-label="Ask the help desk"'
            ' data-accent="#0a7d4f" async></script>'
        )

    app.add_middleware(SessionMiddleware, secret_key="secret")
    if has_nicegui:
        _add_own_pages(app)
    logo = folder / "logo.svg"
    logo.write_text(LOGO)
    mount(
        app,
        "/help",
        settings=Settings(data_dir=folder / "help", ballast_mb=0, frame_ancestors=("self",)),
        provider=Echo("Help desk"),
        user=current_user,
        login_url="/sign-in?to={next}",
        look=Branding(name="Help desk", tagline="Ask us anything", accent="#0a7d4f"),
    )
    mount(
        app,
        "/data",
        settings=Settings(data_dir=folder / "data", ballast_mb=0),
        provider=Echo("Analyst"),
        user=current_user,
        look=Branding(name="Analyst", accent="#b3261e", logo=logo, starters=("Revenue by month",)),
    )
    return app


def _add_own_pages(app: FastAPI) -> None:
    @ui.page("/")
    def index() -> None:
        clicks = ui.label("0")
        ui.button("More", on_click=lambda: clicks.set_text(str(int(clicks.text) + 1)))
        ui.label().bind_text_from(
            nicegui_app.storage.user, "visits", lambda visits: f"visit {visits}"
        )
        nicegui_app.storage.user["visits"] = nicegui_app.storage.user.get("visits", 0) + 1

    ui.add_head_html("<style>body { background: hotpink !important }</style>", shared=True)
    ui.run_with(app, title="The host", storage_secret="secret")


if __name__ == "__main__":
    folder, port, nicegui, root_path = sys.argv[1:]
    uvicorn.run(
        build(Path(folder), has_nicegui=nicegui == "nicegui"),
        port=int(port),
        root_path=root_path,
        log_level="warning",
    )
