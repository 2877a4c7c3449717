"""Servers of Debian's packages, each started for a test in a folder of its own.

Both listen on a Unix socket alone. PostgreSQL refuses to run as root, so it then runs as the user
that its package makes.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

DEADLINE_S = 25


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL with a superuser `ferrio`, who needs no password; the folder of its socket."""
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not installed:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    binaries = installed[-1].parent
    with _folder() as folder:
        rights = _without_root(folder)
        cluster = folder / "data"
        command = [binaries / "initdb", "-D", cluster, "-U", "ferrio", "-A", "trust", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C"]
        made = subprocess.run(command, capture_output=True, text=True, cwd=folder, **rights)
        assert made.returncode == 0, made.stderr
        command = [binaries / "postgres", "-D", cluster, "-k", folder, "-c", "listen_addresses="]
        command += ["-c", "fsync=off", "-c", "shared_buffers=16MB"]
        answers = [binaries / "pg_isready", "-q", "-h", folder, "-U", "ferrio"]
        with _running(command, folder, signal.SIGINT, rights) as server:
            _wait(server, lambda: subprocess.run(answers, check=False).returncode == 0)
            yield str(folder)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis that keeps nothing; the path of its socket."""
    if (binary := shutil.which("redis-server")) is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    with _folder() as folder:
        path = folder / "redis.sock"
        command = [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with _running(command, folder, signal.SIGTERM, {}) as server:
            _wait(server, lambda: _accepts(path))
            yield str(path)


@contextlib.contextmanager
def _folder() -> Iterator[pathlib.Path]:
    # Not below pytest's own folder: that is closed to other users, and long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="ferrio-", ignore_cleanup_errors=True) as name:
        yield pathlib.Path(name)


def _without_root(folder: pathlib.Path) -> dict[str, object]:
    """What makes a child another user than root, who comes to own the folder."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def _running(command, folder, ending, rights) -> Iterator[subprocess.Popen]:
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **rights)
    try:
        yield server
    except BaseException:
        print((folder / "log").read_text())
        raise
    finally:
        server.send_signal(ending)
        try:
            server.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen, answers) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not answers():
        assert server.poll() is None, "the server ended while it started"
        assert time.monotonic() < deadline, "the server did not answer"
        time.sleep(0.02)


def _accepts(path: pathlib.Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
