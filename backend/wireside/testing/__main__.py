"""``python -m wireside.testing``: the fault lab as a process; its first line is its URL."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from wireside.testing.magic import HELP
from wireside.testing.server import FakeOpenAI


async def _serve(options: argparse.Namespace) -> None:
    rate = options.rate or None
    async with FakeOpenAI(
        count=options.tokens,
        rate=rate,
        seed=options.seed,
        models=[name for name in options.models.split(",") if name],
        port=options.port,
        only_at=options.only_at,
    ) as lab:
        print(lab.url, flush=True)
        print(f"\n  OPENAI_BASE_URL={lab.url} make run\n\n{HELP}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m wireside.testing", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--tokens", type=int, default=300, help="tokens of the default answer")
    parser.add_argument("--rate", type=float, default=50, help="tokens a second; 0: all at once")
    parser.add_argument("--seed", type=int, default=1, help="seed of the default answer's text")
    parser.add_argument("--models", default="lab-1,lab-2", help="names in the list, with commas")
    parser.add_argument("--only-at", help="the one path of the API, such as /openai/v1")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
