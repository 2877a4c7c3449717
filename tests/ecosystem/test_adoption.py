"""docs/adoption.md, block by block: each is run with the tool that it is about."""

import http.client
import importlib.util
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adoption.md"
PROGRAMS = pathlib.Path(__file__).with_name("programs")
BINARIES = pathlib.Path(sys.executable).parent
BLOCK = re.compile(r"<!-- test: (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
BLOCKS = {found["name"]: found["text"] for found in BLOCK.finditer(PAGE.read_text())}
TESTED = {"anyio", "conftest", "dask", "granian", "gunicorn", "hypercorn"}
TESTED |= {"ipython", "nested", "pytest", "uvicorn"}
DEADLINE_S = 60

pytestmark = pytest.mark.timeout(150)

TEST_FILE = """
import asyncio
import pytest


@pytest.mark.asyncio
async def test_loop():
    assert type(asyncio.get_running_loop()).__module__ == {loop!r}
"""


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"not installed: {missing}; see tests/README.md"
    )


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(BINARIES), os.environ["PATH"]])
    names = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST")}
    return {**names, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(PROGRAMS)}


def output_of(*command: str, folder: pathlib.Path, status: int = 0) -> str:
    ended = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended.stdout


def output_of_block(name: str, folder: pathlib.Path) -> str:
    program = folder / f"{name}_program.py"
    program.write_text(BLOCKS[name])
    return output_of(sys.executable, str(program), folder=folder)


def served_by(command: list[str], folder: pathlib.Path, address: str) -> tuple[bytes, int, str]:
    """What the server answers, how it ends on SIGTERM, and its words."""
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            answer = ask(process, address)
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()
            log.seek(0)
            words = log.read()
            print(words)
    return answer, process.returncode, words


def ask(process: subprocess.Popen, address: str) -> bytes:
    host, port = address.split(":")
    deadline = time.monotonic() + DEADLINE_S
    while True:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not answer"
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except ConnectionRefusedError:
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.fixture
def address() -> str:
    """Where nothing listens: the servers here must be told a port before they start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_every_block_of_the_page_is_tested():
    assert BLOCKS.keys() == TESTED
    assert PAGE.read_text().count("\n```") == 2 * len(TESTED)


@needs("uvicorn")
def test_uvicorn_takes_the_loop_by_its_name(tmp_path, address):
    command = [*shlex.split(BLOCKS["uvicorn"]), "--port", address.split(":")[1]]
    answer, _, words = served_by(command, tmp_path, address)
    assert answer == b"ferrio"
    assert "Finished server process" in words


@needs("anyio")
def test_anyio_takes_a_loop_factory(tmp_path):
    assert output_of_block("anyio", tmp_path) == "ferrio\n"


def test_an_inner_run_is_allowed_once_the_program_says_so(tmp_path):
    assert output_of_block("nested", tmp_path) == "42 42\n"


@needs("pytest_asyncio")
@pytest.mark.parametrize("option", ["", "--ferrio"])
def test_the_pytest_plugin_gives_ferrio_loops_when_asked(tmp_path, option):
    loop = "ferrio" if option else "asyncio.unix_events"
    (tmp_path / "test_it.py").write_text(TEST_FILE.format(loop=loop))
    assert BLOCKS["pytest"] == "pytest --ferrio\n"
    command = ["pytest", "-p", "no:cacheprovider", *option.split()]
    assert "1 passed" in output_of(*command, folder=tmp_path)


def test_the_pytest_plugin_loads_no_extension_unasked(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n    assert 'pytest_ferrio' in sys.modules\n"
        "    assert 'ferrio' not in sys.modules\n"
    )
    command = ["pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio"]
    assert "1 passed" in output_of(*command, "-p", "no:aiohttp", folder=tmp_path)


@needs("pytest_asyncio")
def test_a_hook_of_the_program_runs_each_test_on_both_loops(tmp_path):
    (tmp_path / "conftest.py").write_text(BLOCKS["conftest"])
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.asyncio\nasync def test_it():\n    pass\n"
    )
    words = output_of("pytest", "-v", "-p", "no:cacheprovider", folder=tmp_path)
    assert "test_it[asyncio] PASSED" in words
    assert "test_it[ferrio] PASSED" in words


@needs("IPython")
def test_ipython_awaits_on_ferrio(tmp_path):
    (tmp_path / "start.ipy").write_text(
        BLOCKS["ipython"]
        + "import asyncio\n"
        + "get_ipython().run_cell('print(type(await asyncio.sleep(0, "
        + "asyncio.get_running_loop())).__module__)')\n"
    )
    words = output_of("ipython", "--no-banner", "--colors=NoColor", "start.ipy", folder=tmp_path)
    assert words.splitlines()[-1] == "ferrio"


@needs("gunicorn", "uvicorn_worker")
def test_gunicorn_has_a_worker_class(tmp_path, address):
    command = [*shlex.split(BLOCKS["gunicorn"]), "--bind", address]
    assert served_by(command, tmp_path, address)[:2] == (b"ferrio", 0)


@needs("hypercorn")
def test_hypercorn_serves_on_the_loop_that_calls_it(tmp_path, address):
    program = tmp_path / "serving.py"
    program.write_text(BLOCKS["hypercorn"])
    command = [sys.executable, str(program), address]
    assert served_by(command, tmp_path, address)[:2] == (b"ferrio", 0)


@needs("granian")
def test_granian_serves_on_the_loop_that_the_policy_gives(tmp_path, address):
    program = tmp_path / "serving.py"
    program.write_text(BLOCKS["granian"])
    command = [sys.executable, str(program), address.split(":")[1]]
    assert served_by(command, tmp_path, address)[:2] == (b"ferrio", 0)


@needs("distributed")
def test_a_dask_cluster_and_its_executor(tmp_path):
    expected = "scheduler: ferrio\nworkers: ferrio ferrio\nferrio\n[0, 1, 4, 9, 16]\n"
    assert output_of_block("dask", tmp_path) == expected
