"""Runs inside of a run: nest_asyncio does on Ferrio what it does on stock, and so do we."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

import ferrio

PROGRAM = pathlib.Path(__file__).with_name("programs") / "nested_runs.py"

needs_nest_asyncio = pytest.mark.skipif(
    importlib.util.find_spec("nest_asyncio") is None or sys.version_info >= (3, 14),
    reason="nest_asyncio is not installed, or does not know this Python",
)

# Without install() asyncio's own functions stay in place, on a loop of Ferrio's.
WITHOUT_INSTALL = f"""
import asyncio, runpy, sys
import ferrio
asyncio.new_event_loop = ferrio.new_event_loop
sys.argv = [{str(PROGRAM)!r}]
runpy.run_path({str(PROGRAM)!r}, run_name="__main__")
"""


def output(*command: str) -> str:
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=25)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@needs_nest_asyncio
@pytest.mark.parametrize("command", [["-m", "ferrio", str(PROGRAM)], ["-c", WITHOUT_INSTALL]])
def test_nest_asyncio_does_what_it_does_on_stock(command):
    stock = output(str(PROGRAM))
    assert "a timeout comes in time" in stock
    assert output(*command) == stock


@needs_nest_asyncio
def test_allow_nested_run_does_what_nest_asyncio_does():
    assert output("-m", "ferrio", str(PROGRAM), "ferrio") == output(str(PROGRAM))


def test_without_it_an_inner_run_is_refused():
    async def main() -> None:
        inner = ferrio.sleep(0)
        try:
            with pytest.raises(RuntimeError, match="already running"):
                ferrio.EventLoop.run_until_complete(loop, inner)
        finally:
            inner.close()

    loop = ferrio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
