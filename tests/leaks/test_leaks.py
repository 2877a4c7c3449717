"""100 000 of each thing that an engine makes leave references, fds and RSS as they were."""

import itertools
import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("leak_program.py")
COUNT = 100_000

# Some references and blocks move by a few between two runs (interned texts, grown tables, the
# caches of the interpreter), however many items there were. The scenario with the fewest items,
# whole loops, has COUNT / 20 of them, so a leak of one an item is more than this.
SLACK = COUNT // 50

# A leaked object has at least 16 bytes, so a leak of one an item would be 1.6 MB. The allocators
# keep partly used arenas (256 KiB each, 1 MiB from 3.12 on); malloc_trim gives back the rest.
RSS_SLACK = 1_500_000


def scenarios():
    """The names that the program knows, read without importing what it imports."""
    names = [
        following.removeprefix("async def ").partition("(")[0]
        for path in sorted(PROGRAM.parent.glob("*_leaks.py"))
        for line, following in itertools.pairwise(path.read_text().splitlines())
        if line == "@scenario"
    ]
    return [*names, "loops"]


@pytest.fixture
def engine_name(loop_factory):
    """`asyncio` or `ferrio`, whichever made the loop."""
    loop = loop_factory()
    loop.close()
    packages = {base.__module__.partition(".")[0] for base in type(loop).__mro__}
    return "ferrio" if packages & {"ferrio", "_ferrio"} else "asyncio"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", scenarios())
def test_nothing_is_left_behind(engine_name, scenario):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), engine_name, scenario, str(COUNT)],
        capture_output=True,
        text=True,
        timeout=110,
        env=dict(os.environ, PYTHONPATH=path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    grown = json.loads(done.stdout)
    assert grown["fds"] == 0
    assert abs(grown["sentinel"]) <= 2
    assert abs(grown["context"]) <= 2
    assert abs(grown["none"]) <= SLACK
    assert grown["blocks"] <= SLACK
    assert {name: count for name, count in grown["types"].items() if count > SLACK // 200} == {}
    assert grown["rss"] <= RSS_SLACK
