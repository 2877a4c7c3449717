"""One process under stress: plays a scene on a loop of one engine and tells what it counts.

Usage: stress_stage.py ENGINE MODULE SCENE ARGUMENTS, the last as a JSON object. A scene is a
coroutine function `(stage, **arguments)`. Both sides speak in lines on the standard streams: the
test gives cues, the scene answers with JSON objects.
"""

import asyncio
import ctypes
import gc
import importlib
import json
import os
import resource
import sys

from descriptors import open_descriptors

LIBC = ctypes.CDLL(None)
STDIN = 0


class Stage:
    """What a scene knows of its process, and its line to the test."""

    def __init__(self, loop):
        self.loop = loop
        self.reported = []
        self._lines = b""
        loop.set_exception_handler(self._report)

    def _report(self, _, context):
        described = {key: str(value) for key, value in context.items()}
        self.reported.append(described)

    def tell(self, **facts):
        """Write the facts to the test."""
        print(json.dumps(facts), flush=True)

    async def cue(self):
        """Wait for the next word from the test, or the end of its words, which is None."""
        while b"\n" not in self._lines:
            readable = self.loop.create_future()
            self.loop.add_reader(STDIN, readable.set_result, None)
            await readable
            self.loop.remove_reader(STDIN)
            data = os.read(STDIN, 65536)
            if not data:
                return None
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode()

    def count(self):
        """The open descriptors by what they are, memory, threads, and what was reported."""
        for _ in range(3):
            gc.collect()
        LIBC.malloc_trim(0)
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        return {
            "descriptors": open_descriptors(),
            "rss": pages * os.sysconf("SC_PAGESIZE"),
            "threads": len(os.listdir("/proc/self/task")),
            "reported": self.reported,
        }


def allow_descriptors(number):
    """Let this process open `number` descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


def new_loop(engine):
    """A new loop of the engine."""
    if engine == "ferrio":
        import ferrio

        return ferrio.new_event_loop()
    return asyncio.SelectorEventLoop()


def main(engine, module, scene, arguments):
    """Play the scene to its end."""
    play = getattr(importlib.import_module(module), scene)
    with asyncio.Runner(loop_factory=lambda: new_loop(engine)) as runner:
        runner.run(play(Stage(runner.get_loop()), **json.loads(arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
