"""REST under schemathesis and hostile files: no 5xx, and no response outside of its description.

Schemathesis reads ``/api/openapi.json`` of a real server and sends valid and invalid requests to
all operations, separately and in sequences: to a server without accounts, and to one with accounts,
with an administrator's key, which reaches what the other answers with 404. Afterwards the import
endpoint receives malicious files.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fuzz.served import Served, served

CONFIG = """\
# What a file holds is beyond a schema: nearly every JSON document is no export.
[[operations]]
include-path = "/api/conversations/import"
checks.positive_data_acceptance.enabled = false

# The same for a file of prompts, and a name or a text of invisible characters is none.
[[operations]]
include-path-regex = "^/api/(prompts|presets)"
checks.positive_data_acceptance.enabled = false

# Most bytes are of no type that can be read.
[[operations]]
include-path = "/api/uploads"
checks.positive_data_acceptance.enabled = false

# The names of time zones are beyond a schema.
[[operations]]
include-path = "/api/conversations/{conversation_id}/export"
checks.positive_data_acceptance.enabled = false

# In a sequence it makes what was deleted available again, which reads as a deletion that failed.
[[operations]]
include-path = "/api/conversations/{conversation_id}/restore"
phases.stateful.enabled = false

# A folder that is named may not exist, which is 404 like a conversation that does not.
[[operations]]
include-path = "/api/conversations/{conversation_id}"
include-method = "PATCH"
checks.ensure_resource_availability.enabled = false

# It answers a question of a handler: without one there is nothing to answer.
[[operations]]
include-path = "/api/conversations/{conversation_id}/answers"
checks.positive_data_acceptance.enabled = false
phases.stateful.enabled = false

# There may be fifty, and each has a name that can be shown.
[[operations]]
include-path = "/api/keys"
include-method = "POST"
checks.positive_data_acceptance.enabled = false

# Where it is the key that all of this is done with, the hook below names another.
[[operations]]
include-path = "/api/keys/{key_id}"
checks.ensure_resource_availability.enabled = false

# A name that can be shown, and the last administrator stays.
[[operations]]
include-path-regex = "^/api/users"
checks.positive_data_acceptance.enabled = false
"""

HOOKS = """\
import os
import schemathesis
from itertools import cycle

KEY = os.environ["FUZZ_KEY"]
USERS = cycle(os.environ["FUZZ_USERS"].split(","))

@schemathesis.hook
def before_call(context, case, kwargs):
    given = case.path_parameters or {}
    if given.get("key_id") == KEY:  # it would saw off the branch it sits on
        given["key_id"] = "0" * 16
    if "user_id" in given and KEY and case.meta.generation.mode.is_positive:
        given["user_id"] = next(USERS)  # no operation makes one: people do, on a page
"""

REACHED = frozenset(
    {
        *("key_made", "key_revoked", "signed_out", "invited", "password_reset_offered"),
        *("role_changed", "account_disabled", "account_enabled", "account_removed"),
        *("conversation_exported", "conversation_deleted", "shared", "share_ended"),
    }
)
"""Actions that the audit log must contain at the end, which proves that they were reached."""

MAX_GROWTH_MB = 300
"""Growth of the server's memory after reading files of 256 MB (uncompressed), one by one."""

MAX_PEAK_MB = 1_300
"""Peak growth while a file is read.

It covers the file, its largest conversation as values at four bytes a character, and the result.
"""


@dataclass(frozen=True)
class Administrator:
    """An API key with all permissions, and accounts that it can be used on."""

    server: Served
    key: str
    users: tuple[str, ...]

    @classmethod
    def of(cls, server: Served, *, people: int = 12) -> Administrator:
        """Create the administrator and ``people`` accounts, as browsers do."""
        browser = _join(server, server.administrator_link(), "ada")
        key = _json(browser, server, "/api/keys", {"name": "all", "scopes": SCOPES})["key"]
        for number in range(people):
            invited = _json(browser, server, "/api/users", {"role": "user"})
            _join(server, invited["link"], f"user {number}")
        everybody = _json(browser, server, "/api/users")
        return cls(server, key, tuple(one["id"] for one in everybody if one["name"] != "ada"))

    def missing(self) -> list[str]:
        """Return the actions that were not reached."""
        asking = urllib.request.build_opener()
        asking.addheaders = [("Authorization", f"Bearer {self.key}")]
        done: set[str] = set()
        before = ""
        try:
            while entries := _json(asking, self.server, f"/api/audit?limit=500{before}"):
                done |= {entry["action"] for entry in entries}
                before = f"&before={entries[-1]['number']}"
        except urllib.error.HTTPError as error:
            return [f"the key is good no more: {error}"]
        return [f"nothing did this: {action}" for action in sorted(REACHED - done)]


SCOPES = ["chat", "read", "admin"]


def _join(server: Served, link: str, name: str) -> urllib.request.OpenerDirector:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    browser.addheaders = [("Origin", server.url)]
    secret = parse_qs(urlsplit(link).query)["link"][0]
    form = {"link": secret, "name": name, "password": "a good long password"}
    browser.open(f"{server.url}/join", urlencode(form).encode()).close()
    return browser


def _json(
    browser: urllib.request.OpenerDirector, server: Served, path: str, body: object = None
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data)
    request.add_header("Content-Type", "application/json")
    with browser.open(request, timeout=60) as response:
        return json.load(response)


def describe(server: Served, *, examples: int, seed: int, who: Administrator | None = None) -> int:
    """Run schemathesis, anonymously or as the administrator; return its exit code."""
    print(f"asking as {'the administrator' if who else 'nobody'} …", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(CONFIG)
        hooks = Path(folder) / "hooks.py"
        hooks.write_text(HOOKS)
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(hooks),
            "FUZZ_KEY": who.key.split("_")[1] if who else "",
            "FUZZ_USERS": ",".join(who.users) if who else "",
        }
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", "--no-color"),
            *(f"{server.url}/api/openapi.json", "--continue-on-failure"),
            *("--max-examples", str(examples), "--seed", str(seed)),
            *(("--header", f"Authorization: Bearer {who.key}") if who else ()),
        ]
        process = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    lines = [line[:300] for line in process.stdout.splitlines()]
    shown = lines if process.returncode else lines[-18:]
    print("\n".join(shown))
    return process.returncode


# ---- malicious files ----------------------------------------------------------------------------

OURS = {"format": "wireside", "version": 1}


def files(dice: random.Random, mutations: int) -> Iterator[tuple[str, bytes]]:
    """Yield file names and contents."""
    yield "nothing", b""
    yield "a byte order mark", b"\xef\xbb\xbf"
    yield "bytes", dice.randbytes(10_000)
    yield "no UTF-8", b'{"mapping": {"\xff": {}}}'
    yield "nested lists", b"[" * 1_000_000
    yield "nested lists that end", b"[" * 100_000 + b"]" * 100_000
    yield "nested objects", b'{"mapping":' * 100_000
    yield "nested in a turn", _nested_turn(100_000)
    yield "a number of a million digits", b'{"version":' + b"9" * 1_000_000 + b"}"
    yield "no numbers", b'[{"mapping": {}, "create_time": NaN}, {"create_time": 1e999}]'
    yield "a circle", _circle()
    yield "many", json.dumps([{"mapping": {}}] * 20_001).encode()
    yield "many values", b"[" + b"0," * 21_000_000 + b"0]"
    yield "many conversations that are none", _zip({"conversations.json": _list(b"0", 7_900_000)})
    yield "many turns of nothing", _zip({"conversations.json": _ours(_list(b"{}", 200_000))})
    yield "more turns of nothing", _zip({"conversations.json": _ours(_list(b"{}", 1_400_000))})
    nest = b'{"a":' * 100 + b"0" + b"}" * 100
    yield "objects in objects", _zip({"conversations.json": _list(_list(nest, 29_000), 2)})
    wide = '{"question":"😀'.encode() + b"x" * 125_000_000 + b'"}'
    yield "a wide text", _zip({"conversations.json": _ours(_list(wide, 1))})
    yield "a question with many answers", _zip({"conversations.json": _fan(1_000_000, 100_000)})
    yield "a bomb of a thousand to one", _zip({"conversations.json": b"0" * 300_000_000})
    yield "a bomb in parts", _zip({f"conversations-{n}.json": b" " * 90_000_000 for n in range(4)})
    yield "many entries", _zip({f"{n}.txt": b"" for n in range(100_001)})
    yield "names that climb", _zip({"../../../etc/conversations.json": b"[]", "/abs.json": b"[]"})
    yield (
        "an archive in an archive",
        _zip({"conversations.json": _zip({"conversations.json": b"[]"})}),
    )
    whole = _zip({"conversations.json": json.dumps([{"mapping": {}}] * 50).encode()})
    yield "half an archive", whole[: len(whole) // 2]
    yield "an encrypted archive", _patched(whole, b"PK\x01\x02", 8, b"\x01")
    yield "another packing", _patched(whole, b"PK\x01\x02", 10, b"\x0c")
    yield "a size that lies", _patched(whole, b"PK\x01\x02", 24, b"\x01\x00\x00\x00")
    yield "an offset that lies", _patched(whole, b"PK\x01\x02", 42, b"\xff\xff\xff\x7f")
    good = json.dumps({**OURS, "conversations": [_conversation()]}).encode()
    for number in range(mutations):
        source = bytearray(whole if number % 3 == 0 else good)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(source))
            source[at : at + dice.randint(0, 3)] = dice.choice(_SCRAPS)
        yield "mutated", bytes(source)


_SCRAPS = (
    *(b"", b"\x00", b"\xff", b"[", b"]", b"{", b"}", b'"', b",", b"null", b"-1", b"1e999", b"true"),
    *(b'"\\ud800"', b"99999999999999999999", b"[[[[", b'{"id":1}', b"PK\x05\x06", b"\x7f\xff\xff"),
)


def _conversation() -> dict[str, object]:
    parts = [
        {"type": "text", "text": "an answer"},
        {"type": "tool", "call": "c", "name": "n", "state": "done", "arguments": "{}"},
    ]
    usage = {"input_tokens": 1, "output_tokens": 2}
    answer = [{"model": "m", "reason": "stop", "error": None, "usage": usage, "parts": parts}]
    turn = {"id": "t", "parent": None, "question": "q", "created_at": "2026-01-01T00:00:00Z"}
    return {"title": "T", "tags": ["a"], "pinned": True, "turns": [{**turn, "answer": answer}]}


def _nested_turn(depth: int) -> bytes:
    head = json.dumps({**OURS, "conversations": []}).encode().removesuffix(b"]}")
    return head + b'{"turns":[{"question":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}]}]}"


def _list(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


def _ours(turns: bytes) -> bytes:
    head = json.dumps({**OURS, "conversations": []}).encode().removesuffix(b"]}")
    return head + b'{"turns":' + turns + b"}]}"


def _fan(chars: int, answers: int) -> bytes:
    def said(role: str, text: str) -> dict[str, object]:
        return {"author": {"role": role}, "content": {"parts": [text]}}

    mapping: dict[str, object] = {"q": {"message": said("user", "x" * chars)}}
    mapping |= {str(n): {"parent": "q", "message": said("assistant", "a")} for n in range(answers)}
    return json.dumps([{"mapping": mapping}]).encode()


def _circle() -> bytes:
    mapping = {
        str(n): {"id": str(n), "parent": str((n + 1) % 3), "children": [str((n + 2) % 3)]}
        for n in range(3)
    }
    return json.dumps([{"title": "T", "mapping": mapping, "current_node": "0"}]).encode()


def _zip(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def _patched(archive: bytes, mark: bytes, offset: int, data: bytes) -> bytes:
    at = archive.index(mark) + offset
    return archive[:at] + data + archive[at + len(data) :]


def bring_in(server: Served, *, mutations: int, seed: int) -> list[str]:
    """Send all files to the import endpoint; return the failures."""
    print("importing files that mean harm …", flush=True)
    wrong: list[str] = []
    before = server.memory_mb
    count, began = 0, time.monotonic()
    for name, data in files(random.Random(seed), mutations):
        count += 1
        status, body = _post(f"{server.url}/api/conversations/import", data)
        if status not in (200, 400, 413) or not isinstance(body, dict):
            wrong.append(f"{name}: {status} {str(body)[:200]}")
        elif status != 200 and set(body) != {"message", "code"}:
            wrong.append(f"{name}: {body}")
    growth, peak = server.memory_mb - before, server.peak_mb - before
    if growth > MAX_GROWTH_MB:
        wrong.append(f"memory grew by {growth:.0f} MB")
    if peak > MAX_PEAK_MB:
        wrong.append(f"memory grew by {peak:.0f} MB for a while")
    print(f"{'hostile files':<16} {count:>8,}")
    print(f"{'seconds':<16} {time.monotonic() - began:>8.1f}")
    print(f"{'memory grew, MB':<16} {growth:>8.1f}")
    print(f"{'for a while, MB':<16} {peak:>8.1f}")
    return wrong


def _post(url: str, data: bytes) -> tuple[int, object]:
    request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        body = error.read()
        try:
            return error.code, json.loads(body)
        except ValueError:
            return error.code, body
    except OSError as error:
        return 0, repr(error)


def main() -> int:
    """Run all parts and print tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="of each operation")
    parser.add_argument("--mutations", type=int, default=1_000, help="files, nearly right")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with served() as server:
        code = describe(server, examples=given.examples, seed=given.seed)
        wrong = bring_in(server, mutations=given.mutations, seed=given.seed)
        wrong += server.faults()
    with served(auth="password", sharing="public") as server:
        who = Administrator.of(server)
        code |= describe(server, examples=given.examples, seed=given.seed, who=who)
        wrong += who.missing() + server.faults()
    for line in wrong:
        print(" ", line)
    return int(code != 0 or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
