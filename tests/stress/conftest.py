"""Scenes and peers: processes that a test starts, tells what to do, and asks what they found.

FERRIO_STRESS=long (`make stress`) chooses the long form of every scenario, any other value the
short one, which `make test` runs.
"""

import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent
LONG = os.environ.get("FERRIO_STRESS") == "long"
LONG_TIMEOUT_S = 600

# Scenes, which some tests import too, identify descriptors as the unit tests do.
sys.path.append(str(FOLDER.parent / "unit"))


def pytest_collection_modifyitems(items):
    """Give the long form its time."""
    for item in items:
        if LONG and FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))


@pytest.fixture
def size():
    """Choose a number: `size(short, long)`."""
    return lambda short, long: long if LONG else short


@pytest.fixture
def needs_descriptors():
    """Skip the test unless a process may open that many descriptors."""

    def check(number):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < number:
            pytest.skip(f"a process needs {number} descriptors here, its hard limit is {hard}")

    return check


@pytest.fixture
def engine_name(loop_factory):
    """`asyncio` or `ferrio`, whichever makes the loops."""
    loop = loop_factory()
    loop.close()
    packages = {base.__module__.partition(".")[0] for base in type(loop).__mro__}
    return "ferrio" if packages & {"ferrio", "_ferrio"} else "asyncio"


class Actor:
    """A process that the test talks with in lines: it is told words and answers JSON objects."""

    def __init__(self, *command):
        path = [str(FOLDER), *(entry for entry in sys.path if entry)]
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        )

    def hear(self):
        """The next facts that the process tells."""
        line = self._process.stdout.readline()
        if not line:
            pytest.fail(f"the process ended:\n{self._process.stderr.read()}", pytrace=False)
        return json.loads(line)

    def tell(self, word):
        """Say one word to the process."""
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def ask(self, word):
        """Say one word and hear the answer."""
        self.tell(word)
        return self.hear()

    def end(self):
        """Wait for the end of the process, which must be a good one and leave nothing unheard."""
        rest, errors = self._process.communicate()
        assert (self._process.returncode, rest, errors) == (0, "", "")

    def abandon(self):
        """End the process if the test did not come to its end."""
        if self._process.poll() is None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()


@pytest.fixture
def actors():
    """The processes that this test started; none outlives it."""
    started = []
    yield started
    for actor in started:
        actor.abandon()


@pytest.fixture
def scene(actors, engine_name):
    """Start a scene on the engine: `scene("connection_scenes.serve", number=10)`."""

    def start(name, **arguments):
        module, function = name.split(".")
        program = str(FOLDER / "stress_stage.py")
        actor = Actor(program, engine_name, module, function, json.dumps(arguments))
        actors.append(actor)
        return actor

    return start


@pytest.fixture
def peers(actors):
    """Start peers, which have sockets and no loop: `peers("hold", address, number=10)`."""

    def start(kind, address, **arguments):
        program = str(FOLDER / "peers.py")
        actor = Actor(program, kind, json.dumps(address), json.dumps(arguments))
        actors.append(actor)
        return actor

    return start
