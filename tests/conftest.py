"""Settings of Hypothesis, and fixtures: a scripted provider and the chat service around it."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.hand_clock import HandClock
from tests.migrated import migrate
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.files.folder import FolderContents
from wireside.files.service import FileRules, Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.messages import ModelInfo
from wireside.ports.quotas import Quotas, Unlimited
from wireside.providers.catalog import Catalog
from wireside.providers.scripted import ScriptedProvider
from wireside.store.store import SqlStore

for profile, count in (("check", 25), ("tests", 100)):
    settings.register_profile(
        profile,
        deadline=None,  # it would depend on the machine's speed
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,  # the same examples in each run; tests/fuzz looks for new ones
        print_blob=True,
        max_examples=count,
    )
settings.load_profile("tests")


def pytest_configure() -> None:
    gc.disable()  # while the test modules are imported, everything stays


def pytest_collection_finish() -> None:
    """Keep the garbage collector from searching through modules and tests again and again.

    They are hundreds of megabytes, and the tests that look for leaks collect after each step.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


MODELS = (ModelInfo(id="model-a", name="Model A"), ModelInfo(id="model-b", name="Model B"))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def provider() -> ScriptedProvider:
    return ScriptedProvider(models=MODELS)


@pytest.fixture
def models(provider: ScriptedProvider, clock: HandClock) -> Catalog:
    return Catalog(provider, default=None, clock=clock)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    owner = Tasks()
    yield owner
    await owner.aclose()


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits()


@pytest.fixture
def quotas() -> Quotas:
    return Unlimited()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database in a file: to copy it takes a twentieth of the time to migrate one."""
    file = tmp_path_factory.mktemp("migrated") / "wireside.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
async def store(migrated: Path, tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{shutil.copy(migrated, tmp_path / 'wireside.db')}")
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def saving(store: SqlStore, tasks: Tasks) -> GroupCommit:
    # a test may replace `store.commit`
    saving = GroupCommit(lambda writes: store.commit_writes(writes), time.monotonic)
    tasks.create_task(saving.write_until_cancelled(), name="group commit")
    return saving


@pytest.fixture
async def runner(
    provider: ScriptedProvider,
    tasks: Tasks,
    limits: RunnerLimits,
    clock: HandClock,
    saving: GroupCommit,
) -> Runner:
    return Runner(provider=provider, tasks=tasks, limits=limits, clock=clock, commits=saving)


@pytest.fixture
def file_rules() -> FileRules:
    return FileRules()


@pytest.fixture
async def files(store: SqlStore, tmp_path: Path, file_rules: FileRules) -> Files:
    return Files(store.files, FolderContents(tmp_path / "files"), file_rules, time.time)


@pytest.fixture
async def parts(
    runner: Runner,
    models: Catalog,
    provider: ScriptedProvider,
    store: SqlStore,
    saving: GroupCommit,
    files: Files,
    tasks: Tasks,
    quotas: Quotas,
) -> ChatDependencies:
    return ChatDependencies(
        runner=runner,
        models=models,
        provider=provider,
        store=store,
        saving=saving,
        files=files,
        prompts=store.prompts,
        folders=store.folders,
        comments=store.comments,
        presets=store.presets,
        tasks=tasks,
        wall_clock=time.time,
        accounts=store.accounts,
        quotas=quotas,
    )


@pytest.fixture
async def chat(parts: ChatDependencies) -> ChatService:
    return ChatService(ChatCore(parts, ChatRules()))
