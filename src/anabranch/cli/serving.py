"""Commands that run until they are told to stop."""

from __future__ import annotations

import asyncio
import signal


async def until_told_to_stop(*tasks: asyncio.Task[None]) -> None:
    """Until SIGTERM or SIGINT, or until one of the tasks ends; then all of them are ended.

    Raises:
        Exception: Whatever ended a task.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    waiting = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait((waiting, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
