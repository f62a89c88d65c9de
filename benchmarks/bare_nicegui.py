"""The baseline for start-up and the dashboard: NiceGUI on FastAPI with one label."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from nicegui import ui


def main(port: int) -> None:
    """Serve on loopback, at ``port``."""
    app = FastAPI()

    @app.get("/api/health/live")
    def live() -> str:
        return "ok"

    @ui.page("/")
    def page() -> None:
        ui.label("Hello")

    ui.run_with(app)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
