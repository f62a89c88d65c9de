"""The import of the ``openai`` package without its models, in processes of their own."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


IMPORTED = "from wireside.providers.openai_package import import_openai; import_openai()\n"
COUNTED = "import sys; print(sum(name.startswith('openai.types.') for name in sys.modules))"


def test_most_models_are_not_imported() -> None:
    assert int(run(f"{IMPORTED}{COUNTED}")) < int(run(f"import openai\n{COUNTED}")) / 3


def test_a_client_needs_none_of_them() -> None:
    client = "import openai; openai.AsyncOpenAI(api_key='x')\n"
    assert run(f"{IMPORTED}{COUNTED}") == run(f"{IMPORTED}{client}{COUNTED}")


def test_the_models_are_there_when_they_are_used() -> None:
    use = (
        "import openai\n"
        "from openai.types.chat import ChatCompletion\n"
        "from openai.types import *\n"
        "print(ChatCompletion.__name__, openai.types.Batch.__name__, Model.__name__,"
        " hasattr(openai.types, 'Nothing'), hasattr(openai.types, '__wrapped__'))"
    )
    assert run(f"{IMPORTED}{use}") == "ChatCompletion Batch Model False False"


def test_a_package_that_is_imported_is_left_alone() -> None:
    use = "import sys; before = sys.modules['openai'], tuple(sys.meta_path)\n"
    check = "print(before == (sys.modules['openai'], tuple(sys.meta_path)))"
    assert run(f"import openai\n{use}{IMPORTED}{check}") == "True"
