"""uvicorn with a Starlette application: a real server process on each loop, that a signal ends."""

import http.client
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).with_name("programs")
LOOPS = {"asyncio": "asyncio", "ferrio": "ferrio:new_event_loop"}
missing = [
    name
    for name in ("httptools", "starlette", "uvicorn", "websockets")
    if importlib.util.find_spec(name) is None
]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"{missing} not installed: make installs 'ecosystem'"),
    pytest.mark.timeout(120),
]


class Server:
    """A uvicorn process; its words so far."""

    def __init__(self, loop: str) -> None:
        command = [
            sys.executable,
            "-W",
            "default",
            "-W",
            "ignore::DeprecationWarning",
            "-m",
            "uvicorn",
        ]
        command += ["starlette_service:application", "--port", "0", "--loop", LOOPS[loop]]
        self.process = subprocess.Popen(
            [*command, "--http", "httptools"],
            cwd=PROGRAMS,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.words = ""
        while not (found := re.search(r"http://127.0.0.1:(\d+)", self.words)):
            line = self.process.stderr.readline()
            assert line, self.words
            self.words += line
        self.port = int(found[1])

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, re.sub(r"\d+", "N", self.words + rest)


def answers(server: Server) -> list[object]:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("hello")
        echoed = socket.recv()
    return [
        server.ask("POST", "/greet", b"x" * 1_000_000),
        server.ask("GET", "/stream"),
        server.ask("GET", "/nothing"),
        echoed,
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_uvicorn_serves_and_ends_the_same_on_both_loops(number):
    ends = {}
    for loop in LOOPS:
        server = Server(loop)
        try:
            assert server.ask("GET", "/loop") == (200, f'{{"loop":"{loop}"}}'.encode())
            ends[loop] = [answers(server), server.end(number)]
        finally:
            server.process.kill()
            server.process.communicate()
    assert ends["asyncio"] == ends["ferrio"]
    _, words = ends["ferrio"][1]
    assert "stopped" in words
    assert "Finished server process" in words
    assert "Traceback" not in words
