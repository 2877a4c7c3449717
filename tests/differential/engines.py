"""The engines that are compared, each a process that plays one program after the other."""

import os
import pickle
import select
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE_AT_START = 25  # seconds until a worker is there, on a machine with other work
PATIENCE = 10  # seconds that a program may take, more than a thousand times what one does take


class Engine:
    """A worker process; it is started anew after a crash or a hang."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.process = None

    def start(self):
        environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join(part for part in sys.path if part)
        )
        environment.pop("PYTHONASYNCIODEBUG", None)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "player.py"), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        if self.receive(PATIENCE_AT_START) != "ready":
            raise RuntimeError(f"the worker of {' '.join(self.arguments)} does not start")

    def send(self, source):
        """Have the program played; `receive` gets what came of it."""
        if self.process is None:
            self.start()
        message = pickle.dumps(source)
        self.process.stdin.write(struct.pack("I", len(message)) + message)
        self.process.stdin.flush()

    def receive(self, patience=None):
        """("played", trace, late events), or ("hangs",), or ("crashed", status)."""
        patience = PATIENCE if patience is None else patience
        answer = self.read(4, patience)
        if isinstance(answer, bytes):
            answer = self.read(*struct.unpack("I", answer), patience)
        if not isinstance(answer, bytes):
            self.stop()
            return answer
        answer = pickle.loads(answer)
        if answer[0] == "broken":
            raise RuntimeError(f"no program for {' '.join(self.arguments)}:\n{answer[1]}")
        return answer

    def read(self, size, patience):
        """So many bytes, or ("hangs",) or ("crashed", status)."""
        descriptor, parts = self.process.stdout.fileno(), b""
        while len(parts) < size:
            if not select.select([descriptor], [], [], patience)[0]:
                return ("hangs",)
            part = os.read(descriptor, size - len(parts))
            if not part:
                return "crashed", self.process.wait()
            parts += part
        return parts

    def play(self, source):
        self.send(source)
        return self.receive()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


class Pair:
    """Stock and the engine under test."""

    def __init__(self, *arguments):
        self.stock = Engine("asyncio")
        self.other = Engine(*(arguments or ("ferrio",)))
        self.played = 0
        self.undecided = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stock.stop()
        self.other.stop()

    def difference(self, source):
        """None, or text that says where the two part."""
        self.played += 1
        self.stock.send(source)
        self.other.send(source)
        expected, seen = self.stock.receive(), self.other.receive()
        if expected == seen:
            return None
        if self.stock.play(source) != expected:
            self.undecided += 1
            return None
        return where_they_part(expected, seen)


def where_they_part(expected, seen):
    """The first events that differ, with those before them."""
    if (expected[0], seen[0]) != ("played", "played"):
        one, other = (" ".join(map(str, it if len(it) < 3 else it[:1])) for it in (expected, seen))
        return f"stock:  {one}\nferrio: {other}"
    for one, other in zip(expected[1:], seen[1:], strict=True):
        if one == other:
            continue
        same = next(
            (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
            min(len(one), len(other)),
        )
        lines = [f"        {event}" for event in one[max(0, same - 6) : same]]
        lines += [f"stock:  {event}" for event in one[same : same + 4]]
        lines += [f"ferrio: {event}" for event in other[same : same + 4]]
        return "\n".join(lines)
    return None
