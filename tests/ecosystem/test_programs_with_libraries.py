"""One program for each library that many build on: it prints the same on stock and on Ferrio."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest
import servers

PROGRAMS = pathlib.Path(__file__).with_name("programs")


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    groups = "make installs the groups 'programs' and 'ecosystem'"
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}; {groups}")


def outcome(*command: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    command = (sys.executable, "-W", "default", "-W", "ignore::DeprecationWarning", *command)
    process = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return process.returncode, process.stdout, process.stderr


def same_on_both(program: str, *arguments: str) -> None:
    stock = outcome(str(PROGRAMS / program), *arguments)
    assert stock[0] == 0, stock
    assert stock[1].count("\n") > 3
    assert outcome("-m", "ferrio", str(PROGRAMS / program), *arguments) == stock


@needs("aiohttp")
@pytest.mark.timeout(120)
def test_an_aiohttp_server_client_and_websocket():
    same_on_both("aiohttp_service.py")


@needs("sqlalchemy", "aiosqlite", "greenlet")
@pytest.mark.timeout(120)
def test_sqlalchemy_on_aiosqlite():
    same_on_both("sqlite_accounts.py")


@needs("asyncpg")
@pytest.mark.timeout(120)
def test_asyncpg_against_a_postgresql():
    with servers.postgres() as folder:
        same_on_both("postgres_orders.py", folder)


@needs("redis")
@pytest.mark.timeout(120)
def test_redis_py_against_a_redis():
    with servers.redis() as path:
        same_on_both("redis_counters.py", path)
