"""Programs under valgrind, which shows a process no vDSO."""

import shutil
import subprocess
import sys

import pytest

PROGRAM = """
    import asyncio, time

    async def main():
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.sleep(0.01)
        return loop.time() - started >= 0.01

    print(asyncio.run(main()))
"""


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_the_clock_is_read_where_there_is_no_vdso(workshop):
    workshop.write("program.py", PROGRAM)
    command = ["valgrind", "--tool=none", sys.executable, "-m", "ferrio", "program.py"]
    done = subprocess.run(command, cwd=workshop.folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
