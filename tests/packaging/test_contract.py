"""The committed contract is that of the code, and a change that breaks a client is named."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from wireside.api.openapi import EXAMPLES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "contract"
NAMES = ("client-frames.schema.json", "server-frames.schema.json", "asyncapi.json", "openapi.json")

Contract = dict[str, dict[str, Any]]


def load_script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # for its dataclasses
    specification.loader.exec_module(module)
    return module


changes = load_script("contract_changes")


def committed() -> Contract:
    return {name: json.loads((FOLDER / name).read_text("utf-8")) for name in NAMES}


@pytest.fixture
def contract() -> Contract:
    return committed()


def run(*arguments: str | Path) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "contract.py", *arguments],
        capture_output=True,
        text=True,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_committed_contract_is_current_and_breaks_no_client() -> None:
    code, told = run("--check")
    assert (code, told) == (0, "Clients of 0.1.0 need no change.\n")


def test_a_stale_contract_is_told(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "asyncapi.json").write_text("{}")
    code, told = run("--check", "--folder", tmp_path)
    assert code == 1
    assert told == "asyncapi.json: not that of the code; run `make contract`.\n"


def test_a_break_is_told(
    tmp_path: Path, contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = load_script("contract").compare
    assert compare(tmp_path / "released", contract) == 0
    assert capsys.readouterr().out == "There is no release to compare with.\n"
    released = copy.deepcopy(contract)
    released["client-frames.schema.json"]["$defs"]["Resume"]["properties"]["from"] = {}
    for name, document in released.items():
        (tmp_path / name).write_text(json.dumps(document), "utf-8")
    assert compare(tmp_path, contract) == 1
    told = "Resume.from was removed.\n1 changes break clients of 0.1.0.\n"
    assert capsys.readouterr().out == told


# ---- AsyncAPI ------------------------------------------------------------------------------------


def test_the_examples_of_messages_are_valid(contract: Contract) -> None:
    document = contract["asyncapi.json"]
    messages = document["components"]["messages"]
    assert set(messages) == set(document["channels"]["chat"]["messages"])
    for message in messages.values():
        validator = Draft7Validator({**message["payload"], "components": document["components"]})
        assert message["examples"]
        for example in message["examples"]:
            validator.validate(example["payload"])


# ---- OpenAPI -------------------------------------------------------------------------------------


def test_the_openapi_document_is_valid(contract: Contract) -> None:
    OpenAPIV31SpecValidator(contract["openapi.json"]).validate()


def test_every_schema_of_the_rest_api_has_a_valid_example(contract: Contract) -> None:
    document = contract["openapi.json"]
    schemas = document["components"]["schemas"]
    of_fastapi = {"HTTPValidationError", "ValidationError"}
    missing = {name for name in used_by_api(document) if "examples" not in schemas[name]}
    assert missing == of_fastapi, "add examples to api/openapi.py"
    assert set(EXAMPLES) <= set(schemas)
    for name, schema in schemas.items():
        validator = Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]},
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        for example in schema.get("examples", ()):
            validator.validate(example)
            unknown = set(example) - set(schema["properties"])
            assert not unknown, f"{name} has no field {unknown}"


def used_by_api(document: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that the routes below ``/api`` refer to."""
    operations = [
        operation for path, operation in document["paths"].items() if path.startswith("/api/")
    ]
    found: set[str] = set()
    waiting: list[Any] = [operations]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if (target := value.get("$ref")) and (name := target.rpartition("/")[2]) not in found:
                found.add(name)
                waiting.append(document["components"]["schemas"][name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


# ---- changes -------------------------------------------------------------------------------------


def frames(contract: Contract, side: str) -> dict[str, Any]:
    found: dict[str, Any] = contract[f"{side}-frames.schema.json"]["$defs"]
    return found


def route(contract: Contract, path: str, method: str) -> Any:
    return contract["openapi.json"]["paths"][path][method]


def component(contract: Contract, name: str) -> Any:
    return contract["openapi.json"]["components"]["schemas"][name]


def delete_frame(contract: Contract, side: str, name: str) -> None:
    document = contract[f"{side}-frames.schema.json"]
    document["anyOf"].remove({"$ref": f"#/$defs/{name}"})
    del document["$defs"][name]


def add_level_1_frame(contract: Contract) -> None:
    document = contract["server-frames.schema.json"]
    document["anyOf"].append({"$ref": "#/$defs/StartLevel1"})
    document["$defs"]["StartLevel1"] = {"type": "object"}


Change = Callable[[Contract], Any]

BREAKS: dict[str, Change] = {
    "Resume: the frame of the client was removed.": lambda c: delete_frame(c, "client", "Resume"),
    "Tool: the frame of the server was removed.": lambda c: delete_frame(c, "server", "Tool"),
    "StartLevel1: level 1 has no new frames.": add_level_1_frame,
    "Chat.system was removed.": lambda c: frames(c, "client")["Chat"]["properties"].pop("system"),
    "Chat.key is now required.": lambda c: frames(c, "client")["Chat"]["required"].append("key"),
    "Chat.temperature no longer accepts null.": lambda c: frames(c, "client")["Chat"]["properties"][
        "temperature"
    ].update(type="number"),
    "Chat.max_tokens: maximum was 1000000 and is 10.": lambda c: frames(c, "client")["Chat"][
        "properties"
    ]["max_tokens"].update(maximum=10),
    "Batch.messages: minItems was 1 and is 2.": lambda c: frames(c, "client")["Batch"][
        "properties"
    ]["messages"].update(minItems=2),
    "Ping.t no longer accepts a number.": lambda c: frames(c, "client")["Ping"]["properties"][
        "t"
    ].update(type=["string", "integer", "null"]),
    "Chat.messages[].role no longer accepts 'system'.": lambda c: frames(c, "client")[
        "ContextMessage"
    ]["properties"]["role"]["enum"].remove("system"),
    "Chunk.offset was removed.": lambda c: frames(c, "server")["Chunk"]["properties"].pop("offset"),
    "Done.usage may now be absent.": lambda c: frames(c, "server")["Done"]["required"].remove(
        "usage"
    ),
    "Start.model may now be null.": lambda c: frames(c, "server")["Start"]["properties"][
        "model"
    ].update(type=["string", "null"]),
    "Resumed.head may now be a number.": lambda c: frames(c, "server")["Resumed"]["properties"][
        "head"
    ].update(type="number"),
    "Done.usage.input_tokens may now be a string.": lambda c: frames(c, "server")["Usage"][
        "properties"
    ]["input_tokens"].update(type=["integer", "null", "string"]),
    "ChunkLevel1.offset is new in a frame of level 1.": lambda c: frames(c, "server")[
        "ChunkLevel1"
    ]["properties"].update(offset={"type": "integer"}),
    "DoneLevel1 may now be an object with other fields.": lambda c: frames(c, "server")[
        "DoneLevel1"
    ].pop("additionalProperties"),
    "/ws/ai-chat: the WebSocket was removed.": lambda c: c["asyncapi.json"]["channels"][
        "chat"
    ].update(address="/ws/chat"),
    "GET /api/models: the route was removed.": lambda c: c["openapi.json"]["paths"][
        "/api/models"
    ].pop("get"),
    "GET /api/conversations: the parameter cursor was removed.": lambda c: route(
        c, "/api/conversations", "get"
    ).update(
        parameters=[
            one
            for one in route(c, "/api/conversations", "get")["parameters"]
            if one["name"] != "cursor"
        ]
    ),
    "GET /api/models: the parameter kind is now required.": lambda c: route(
        c, "/api/models", "get"
    ).update(parameters=[{"in": "query", "name": "kind", "required": True}]),
    "POST /api/keys: the body.days is now required.": lambda c: component(c, "NewKey")[
        "required"
    ].append("days"),
    "POST /api/keys: the response 201 was removed.": lambda c: route(c, "/api/keys", "post")[
        "responses"
    ].pop("201"),
    "GET /api/models: the response 200.models[].name was removed.": lambda c: component(c, "Model")[
        "properties"
    ].pop("name"),
    "GET /api/me: the response 200.role may now be 'guest'.": lambda c: component(c, "Me")[
        "properties"
    ]["role"]["enum"].append("guest"),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_a_change_that_breaks_a_client_is_named(contract: Contract, sentence: str) -> None:
    changed = copy.deepcopy(contract)
    BREAKS[sentence](changed)
    assert changes.breaks(contract, changed) == [sentence]


def test_additions_are_compatible(contract: Contract) -> None:
    changed = copy.deepcopy(contract)
    frames(changed, "client")["Chat"]["properties"]["top_p"] = {"type": ["number", "null"]}
    frames(changed, "client")["Chat"]["properties"]["key"]["maxLength"] = 128
    frames(changed, "server")["Chunk"]["properties"]["language"] = {"type": "string"}
    frames(changed, "server")["Start"]["required"].append("conversation")
    codes = frames(changed, "server")["Error"]["properties"]["code"]["anyOf"][0]["enum"]
    codes.append("newer")
    document = changed["server-frames.schema.json"]
    document["anyOf"].append({"$ref": "#/$defs/Citation"})
    document["$defs"]["Citation"] = {"type": "object"}
    changed["openapi.json"]["paths"]["/api/newer"] = changed["openapi.json"]["paths"]["/api/me"]
    models = route(changed, "/api/models", "get")
    models["parameters"] = [{"in": "query", "name": "kind", "schema": {"type": "string"}}]
    component(changed, "Model")["properties"]["price"] = {"type": "number"}
    component(changed, "NewKey")["properties"]["note"] = {"type": "string"}
    assert changes.breaks(contract, changed) == []


def test_a_field_that_refers_to_its_own_schema_is_compared_once() -> None:
    def document(kind: str) -> dict[str, Any]:
        node = {
            "type": "object",
            "properties": {"value": {"type": kind}, "next": {"$ref": "#/$defs/Node"}},
        }
        return {"anyOf": [{"$ref": "#/$defs/Node"}], "$defs": {"Node": node}}

    found = list(changes.frame_breaks(document("string"), document("integer"), "client"))
    assert found == ["Node.value no longer accepts a string."]
