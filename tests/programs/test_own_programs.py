"""Programs of our own: what each prints, warns and returns is the same on stock and on Ferrio.

Masked, since they must differ: addresses, the class of the loop, and measured times. Of a printed
stack only the program's frames are compared: a native loop has none, and `-m ferrio` has its own.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ferrio

PROGRAMS = sorted(Path(__file__).with_name("own").glob("*.py"))
STATUS = {"signals.py": -signal.SIGINT, "task_groups.py": 1}
MASKS = [
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"<\w*EventLoop (?=running=)"), "<LOOP "),
    (re.compile(r"\b\w*EventLoop\.(?=\w+\(\))"), "LOOP."),
    (re.compile(r"when=\d+\.\d+"), "when=N"),
    (re.compile(r"took \d+\.\d+ seconds"), "took N seconds"),
]
FRAME = re.compile(r'( *[|+] )? *File "(?P<path>[^"]+)", line \d+, in ')
FOREIGN = ("<frozen runpy>", "/asyncio/", f"{Path(ferrio.__file__).parent}/")


def masked(text: str) -> list[str]:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    kept, foreign = [], False
    for line in text.splitlines():
        if frame := FRAME.match(line):
            foreign = any(part in frame["path"] for part in FOREIGN)
        elif not re.match(r"( *[|+] )? {4}", line):
            foreign = False
        if not foreign:
            kept.append(line)
    return kept


def outcome(program: Path, folder: Path, *command: str) -> tuple[int, list[str], list[str]]:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("FORCE_COLOR", "PYTHONASYNCIODEBUG"):
        environment.pop(name, None)
    process = subprocess.run(
        [sys.executable, *command, str(program)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    return process.returncode, masked(process.stdout), masked(process.stderr)


def spelt(program: Path, folder: Path, package: str) -> Path:
    """A copy of the program, always in the same place, that imports asyncio from this package."""
    source = program.read_text()
    assert source.count("\nimport asyncio\n") == 1
    copy = folder / program.name
    copy.write_text(source.replace("\nimport asyncio\n", f"\nimport {package} as asyncio\n"))
    return copy


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_does_the_same_on_ferrio(program, tmp_path):
    stock = outcome(program, tmp_path)
    assert stock[0] == STATUS.get(program.name, 0), stock[2]
    assert outcome(program, tmp_path, "-m", "ferrio") == stock


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_does_the_same_with_ferrio_in_the_place_of_asyncio(program, tmp_path):
    stock = outcome(spelt(program, tmp_path, "asyncio"), tmp_path)
    assert stock[0] == STATUS.get(program.name, 0), stock[2]
    assert outcome(spelt(program, tmp_path, "ferrio"), tmp_path) == stock
