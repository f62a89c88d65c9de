"""A real OpenID provider, canaille, in its own process, and the class that tests control it with.

Run as a program, it serves canaille with its memory database and executes commands, which are lines
of JSON on standard input, with one line of output each: its users, its clients, and how to spoil
the next tokens. It records what it has issued, so that a test can search logs for it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

PASSWORD = "a good long password"

_ANSWERS = {"userinfo": "/oauth/userinfo", "document": "/.well-known/openid-configuration"}


class OpenIdProvider:
    """Controls the process. ``issuer`` is its address."""

    def __init__(self, port: int = 0) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "CANAILLE"))}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(port)],
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.issuer: str = self._answer()["issuer"]
        self.port = int(self.issuer.rpartition(":")[2])

    def client(self, client_id: str, secret: str, *redirects: str, method: str = "basic") -> None:
        """Register a client that redirects to one of ``redirects``."""
        self._tell("client", name=client_id, secret=secret, redirects=redirects, method=method)

    def user(self, name: str, *groups: str, **claims: str) -> None:
        """Create a user, or change the groups of one."""
        self._tell("user", name=name, groups=groups, **claims)

    def spoil(self, how: str = "", **claims: Any) -> None:
        """Issue tokens with changed claims, or tokens spoilt in the way that ``how`` names.

        ``how`` is "another key", "unsigned" or "missing". ``userinfo`` and ``document`` replace the
        responses of those endpoints. Without arguments, all tokens are valid again.
        """
        self._tell("spoil", how=how, claims=claims)

    def given_out(self) -> list[str]:
        """Return all codes, verifiers and tokens that its token endpoint has seen."""
        return list(self._tell("given_out")["secrets"])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _tell(self, what: str, **values: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **values}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the OpenID provider has ended"
        answer: dict[str, Any] = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer


class Form(HTMLParser):
    """The first form of a page: its address, and the values it submits without any input."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: set[str] = set()
        self._is_inside = self._is_over = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and not self._is_over:
            self._is_inside, self.action = True, values.get("action", "")
        if not self._is_inside:
            return
        if tag == "button":
            self.buttons.add(values.get("value", ""))
        elif tag == "input" and values.get("name"):
            self.fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._is_inside:
            self._is_inside, self._is_over = False, True


def main(port: int) -> None:
    """Serve until the process ends."""
    import asyncio

    from asgiref.wsgi import WsgiToAsgi
    from canaille.backends.memory.backend import MemoryBackend
    from canaille.hypercorn.app import create_app
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    listener = _listen(port)
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(
        {
            "SECRET_KEY": "a key of the provider's own cookies",
            "SERVER_NAME": host,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "LANGUAGE": "en", "SMTP": None},
            "CANAILLE_OIDC": {"TRUSTED_DOMAINS": []},  # every user is asked for consent
        },
        env_file=None,
        wrap_asgi=False,
    )
    _ask_for_all(MemoryBackend)
    house = _House(app)
    app.after_request(house.change_answer)
    threading.Thread(target=house.obey, daemon=True).start()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    house.say({"issuer": f"http://{host}"})
    asyncio.run(serve(WsgiToAsgi(app), config))


def _listen(port: int) -> socket.socket:
    """Bind the port; one that a provider used before may be busy for a moment."""
    until = time.monotonic() + 20
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _ask_for_all(store: Any) -> None:
    """Make a query require all of its values.

    canaille's memory database matches if one of the values does, its other databases if all do: a
    code would stay valid as long as the same client has another one.
    """
    of_one = store.do_query

    def do_query(self: Any, model: Any, *args: Any, **wanted: Any) -> list[Any]:
        found: list[Any] = of_one(self, model)
        for name, value in wanted.items():
            ids = {one.id for one in of_one(self, model, **{name: value})}
            found = [one for one in found if one.id in ids]
        return found

    store.do_query = do_query


class _House:
    """The state of the program."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._how = ""
        self._claims: dict[str, Any] = {}
        self._secrets: list[str] = []
        self._out = sys.stdout
        sys.stdout = sys.stderr

    def say(self, answer: dict[str, Any]) -> None:
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()

    def obey(self) -> None:
        for line in sys.stdin:
            command = json.loads(line)
            try:
                with self._app.app_context():
                    answer = getattr(self, "_do_" + command.pop("do"))(**command)
            except Exception as error:
                answer = {"failed": repr(error)}
            self.say(answer or {})

    def _do_client(self, name: str, secret: str, redirects: list[str], method: str) -> None:
        from canaille.app import models
        from canaille.backends import Backend

        client = models.Client(
            client_id=name,
            client_secret=secret,
            client_name="Wireside",
            client_uri="https://chat.example.test",
            redirect_uris=redirects,
            contacts=["ada@example.test"],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method=f"client_secret_{method}" if secret else "none",
            client_id_issued_at=datetime.now(UTC),
        )
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)

    def _do_user(self, name: str, groups: list[str], **claims: str) -> None:
        from canaille.app import models
        from canaille.backends import Backend

        store = Backend.instance
        user = store.get(models.User, user_name=name) or models.User(
            user_name=name,
            formatted_name=claims.get("formatted_name", f"{name} of the tests"),
            family_name="Test",
            display_name=claims.get("display_name", name),
            emails=[claims.get("email", f"{name}@example.test")],
            password=PASSWORD,
        )
        store.save(user)
        for group in store.query(models.Group):
            if user in group.members:
                group.members = [member for member in group.members if member != user]
                store.save(group) if group.members else store.delete(group)
        for title in groups:
            group = store.get(models.Group, display_name=title)
            group = group or models.Group(display_name=title, members=[])
            group.members = [*group.members, user]
            store.save(group)

    def _do_spoil(self, how: str, claims: dict[str, Any]) -> None:
        self._how, self._claims = how, claims

    def _do_given_out(self) -> dict[str, Any]:
        return {"secrets": self._secrets}

    def change_answer(self, response: Any) -> Any:
        from flask import request

        for name, path in _ANSWERS.items():
            if request.path == path and name in self._claims:
                response.set_data(json.dumps(self._claims[name]))
        if request.path != "/oauth/token" or not response.is_json:
            return response
        tokens = response.get_json()
        if "id_token" in tokens:
            self._spoil(tokens)
            response.set_data(json.dumps(tokens))
        form = [request.form.get(name) for name in ("code", "code_verifier")]
        given = [tokens.get(name) for name in ("id_token", "access_token", "refresh_token")]
        self._secrets += [secret for secret in (*form, *given) if secret]
        return response

    def _spoil(self, tokens: dict[str, Any]) -> None:
        from canaille.oidc.jose import server_jwks
        from joserfc import jws, jwt
        from joserfc.jwk import RSAKey

        if not self._how and not self._claims:
            return
        if self._how == "missing":
            del tokens["id_token"]
            return
        keys = server_jwks(include_inactive=False)
        algorithms = ["RS256", "RS512"]
        token = jwt.decode(tokens["id_token"], keys, algorithms=algorithms)
        claims = {**token.claims, **self._claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        if self._how == "unsigned":
            body = json.dumps(claims).encode()
            tokens["id_token"] = jws.serialize_compact({"alg": "none"}, body, None, ["none"])
            return
        key = keys.get_by_kid(token.header["kid"])
        if self._how == "another key":
            key = RSAKey.generate_key(2048)
        tokens["id_token"] = jwt.encode(dict(token.header), claims, key, algorithms=algorithms)


if __name__ == "__main__":
    main(int(sys.argv[1]))
