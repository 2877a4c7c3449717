"""`import ferrio as asyncio`: all public names of asyncio are there, native or the very same."""

import asyncio
import inspect
import subprocess
import sys
import types
import warnings

import pytest

import ferrio
from ferrio import _names

# What chooses Ferrio's loop, and so is neither asyncio's object nor put in its place.
ENTRY_POINTS = {"run", "new_event_loop"}
# What the loop makes: natively, and subclasses of asyncio's.
SUBCLASSES = {"EventLoop", "Future", "Handle", "Runner", "Task", "TimerHandle"}
OWN = {"EventLoopPolicy", "allow_nested_run", "build_info", "install", "uninstall"}


def replaced(native):
    """What of asyncio's a native class or function stands for."""
    if isinstance(native, type):
        return vars(native).get("_ferrio_replaces")
    return getattr(native, "__wrapped__", None)


def test_every_public_name_of_asyncio_is_there():
    assert set(asyncio.__all__) <= set(ferrio.__all__)
    assert [name for name in ferrio.__all__ if not hasattr(ferrio, name)] == []


def test_no_name_stands_there_twice():
    assert sorted(set(ferrio.__all__)) == sorted(ferrio.__all__)


@pytest.mark.parametrize("name", sorted(set(asyncio.__all__) - ENTRY_POINTS - SUBCLASSES))
def test_a_name_is_the_object_of_asyncio_or_stands_for_it(name):
    stock, own = getattr(asyncio, name), getattr(ferrio, name)
    assert own is stock or replaced(own) is stock


@pytest.mark.parametrize("name", sorted(SUBCLASSES & set(asyncio.__all__)))
def test_what_the_loop_makes_is_of_subclasses(name):
    assert issubclass(getattr(ferrio, name), getattr(asyncio, name))


def test_what_has_a_native_form_is_not_inherited():
    natives = {replaced(native): native for native in (*_names.CLASSES, *_names.FUNCTIONS)}
    inherited = [getattr(ferrio, name) for name in ferrio._inherited.__all__]
    assert [stock for stock in inherited if stock in natives] == []
    # asyncio has it in its module `subprocess` alone.
    del natives[asyncio.subprocess.SubprocessStreamProtocol]
    assert all(native in vars(ferrio).values() for native in natives.values())


def test_nothing_else_is_public():
    more = {"TaskGroup", "QueueShutDown"}  # before 3.12 and 3.13
    assert set(ferrio.__all__) - set(asyncio.__all__) <= OWN | {"EventLoop"} | more


def test_the_submodules_are_those_of_asyncio():
    modules = {
        name: module
        for name, module in vars(asyncio).items()
        if isinstance(module, types.ModuleType) and module.__name__.startswith("asyncio.")
    }
    assert "subprocess" in modules
    assert {name: getattr(ferrio, name) for name in modules} == modules


def test_other_names_are_looked_up_in_asyncio():
    asyncio.put_there_by_a_program = object()
    try:
        assert ferrio.put_there_by_a_program is asyncio.put_there_by_a_program
    finally:
        del asyncio.put_there_by_a_program


@pytest.mark.parametrize("name", ["nothing", "_nothing", "__version__"])
def test_a_name_that_nobody_has_is_missing(name):
    with pytest.raises(AttributeError, match=f"^module 'ferrio' has no attribute '{name}'$"):
        getattr(ferrio, name)


@pytest.mark.parametrize("name", ["AbstractEventLoopPolicy", "DefaultEventLoopPolicy"])
def test_a_policy_can_be_named_on_every_python(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert getattr(ferrio, name) is getattr(asyncio, name)


@pytest.mark.parametrize(
    "statement",
    ["import ferrio", "from ferrio import *", "from ferrio import subprocess; subprocess.PIPE"],
)
def test_importing_warns_of_nothing(statement):
    command = [sys.executable, "-W", "error", "-c", statement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_star_brings_no_module():
    namespace = {}
    exec("from ferrio import *", namespace)
    assert [name for name, value in namespace.items() if inspect.ismodule(value)] == []


def test_run_takes_the_arguments_of_asyncio():
    made = []

    def make():
        made.append(asyncio.SelectorEventLoop())
        return made[0]

    async def main():
        return asyncio.get_running_loop(), asyncio.get_running_loop().get_debug()

    assert ferrio.run(main(), loop_factory=make) == (*made, False)
    loop, debug = ferrio.run(main(), debug=True)
    assert isinstance(loop, ferrio.EventLoop)
    assert debug
