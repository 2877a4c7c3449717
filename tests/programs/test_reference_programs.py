"""The reference programs beside this project, each compared with stock by their own compare.py.

With FERRIO_PROGRAMS_HOSTS=1 all of them: those too that fetch from hosts of the Internet, which a
local web server plays. That takes root, for a network and a mount namespace.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMPARE = Path(__file__).resolve().parents[3] / "shared" / "programs" / "compare.py"
WITH_LOCAL_WEB = COMPARE.parent / "localweb" / "with_localweb.sh"
WITH_HOSTS = os.environ.get("FERRIO_PROGRAMS_HOSTS") == "1"
NEEDED = ["aiofiles", "aiohttp", "aiosqlite", "asyncpg", "greenlet", "requests", "sqlalchemy"]
NEEDED += ["pytest_aiohttp", "pytest_asyncio"]
MORE_RUNS = 2
BY_CHANCE = {"s002_sec12_scheduler.py": 8}
"""More runs of programs whose runs differ by chance on stock too: a fifth of this one's print the
other count of running tasks."""


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, COMPARE, "--python", sys.executable, *arguments]
    if WITH_HOSTS:
        command = [WITH_LOCAL_WEB, *command, "--hosts"]
    return subprocess.run(
        command,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not COMPARE.exists(), reason=f"the reference programs are not at {COMPARE}")
@pytest.mark.timeout(900)
def test_each_reference_program_does_the_same_on_ferrio():
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"the dependency group 'programs' is not installed: {missing}")
    if WITH_HOSTS:
        assert os.geteuid() == 0, "FERRIO_PROGRAMS_HOSTS=1 needs root"
    result = compare("--jobs", "4")
    if WITH_HOSTS:
        counted = re.search(r"^(\d+) passed, (\d+) failed", result.stdout, re.MULTILINE)
        assert counted, result.stdout
        assert sum(map(int, counted.groups())) == len(list(COMPARE.parent.glob("s*.py")))
    # Times are compared, and some print an order that a millisecond decides. What failed gets more
    # runs, alone: a real difference fails them all.
    for run in range(max(BY_CHANCE.values())):
        failed = re.findall(r"^(\w+\.py): ", result.stdout, re.MULTILINE)
        if not failed or any(run >= BY_CHANCE.get(name, MORE_RUNS) for name in failed):
            break
        print(result.stdout)
        result = compare("--jobs", "1", "--verbose", *failed)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^[1-9]\d* passed, 0 failed$", result.stdout, re.MULTILINE), result.stdout
