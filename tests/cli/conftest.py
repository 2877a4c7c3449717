"""Fixtures of the command line tests: a folder of programs, and a run on stock and on Ferrio."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

COMMANDS = {"stock": [], "ferrio": ["-m", "ferrio"]}
ADDRESS = re.compile(r"0x[0-9a-f]+")
# Native code has no frame: these modules' functions stand in stock's tracebacks alone. They are
# taken out of those, and of nothing that Ferrio prints.
NATIVE_MODULES = "locks|queues|taskgroups|tasks|timeouts"
NATIVE_FRAME = re.compile(
    rf'^([ |]*)  File "[^"]*/asyncio/(?:{NATIVE_MODULES})\.py", .*\n(?:\1    .*\n)*', re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a user sees of a finished program."""

    status: int
    out: str
    err: str


@dataclasses.dataclass(frozen=True)
class Workshop:
    """A folder with programs, which is also where they run."""

    folder: Path

    def write(self, name: str, source: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return name

    def start(self, on: str, *arguments: str, options: Sequence[str] = ()) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("FORCE_COLOR", "PYTHONASYNCIODEBUG", "PYTHONUNBUFFERED"):
            environment.pop(name, None)
        return subprocess.Popen(
            [sys.executable, *options, *COMMANDS[on], *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, on: str, *arguments: str, options: Sequence[str] = (), stdin: str = ""
    ) -> Outcome:
        process = self.start(on, *arguments, options=options)
        return finish(process, stdin)

    def run_both(self, *arguments: str, options: Sequence[str] = (), stdin: str = "") -> Outcome:
        """Run on stock and on Ferrio, and assert that nobody can tell the difference."""
        stock = self.run("stock", *arguments, options=options, stdin=stdin)
        ferrio = self.run("ferrio", *arguments, options=options, stdin=stdin)
        assert ferrio == without_native_frames(stock)
        return stock

    def interrupt_both(self, program: str, *, asleep: bool) -> Outcome:
        """Press Ctrl-C once the program has printed a line, and, if it will be, is asleep."""
        stock, ferrio = (self._interrupt(on, program, asleep) for on in COMMANDS)
        assert ferrio == without_native_frames(stock)
        return stock

    def _interrupt(self, on: str, program: str, asleep: bool) -> Outcome:
        process = self.start(on, program)
        assert process.stdout is not None
        first_line = process.stdout.readline()
        if asleep:
            wait_until_asleep(process.pid)
        process.send_signal(signal.SIGINT)
        rest = finish(process)
        return dataclasses.replace(rest, out=first_line + rest.out)


def finish(process: subprocess.Popen[str], stdin: str = "") -> Outcome:
    out, err = process.communicate(stdin, timeout=25)
    return Outcome(process.returncode, ADDRESS.sub("0x", out), ADDRESS.sub("0x", err))


def without_native_frames(stock: Outcome) -> Outcome:
    return dataclasses.replace(stock, err=NATIVE_FRAME.sub("", stock.err))


def wait_until_asleep(pid: int) -> None:
    """Return when the process sleeps and has used no processor time between several looks."""
    looks = []
    while len(looks) < 5 or len(set(looks[-5:])) > 1 or looks[-1][0] != "S":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        schedule = Path(f"/proc/{pid}/schedstat").read_text().split()
        looks.append((fields[0], schedule[0]))
        time.sleep(0.005)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)
