"""Fixtures of the unit tests: the engine under test, a fresh loop, and comparison with stock."""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import importlib
import os
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import threading

import pytest
import stream_classes
from event_trace import traced


def pytest_collection_finish():
    """Keep what pytest made out of the collections that the tests ask for: 566 tests took 18 s of
    CPU time before, and 2 s after."""
    gc.collect()
    gc.freeze()


@dataclasses.dataclass(frozen=True)
class Engine:
    """The classes of one implementation, and the function that makes its loops."""

    name: str
    new_loop: object
    task_class: type
    future_class: type
    handle_class: type
    timer_handle_class: type


STOCK = Engine(
    "asyncio",
    asyncio.SelectorEventLoop,
    asyncio.Task,
    asyncio.Future,
    asyncio.Handle,
    asyncio.TimerHandle,
)


@pytest.fixture
def engine(loop_factory):
    """The implementation that `loop_factory` stands for."""
    probe = loop_factory()
    probe.close()
    packages = {base.__module__.partition(".")[0] for base in type(probe).__mro__}
    if not packages & {"ferrio", "_ferrio"}:
        return dataclasses.replace(STOCK, new_loop=loop_factory)
    import ferrio

    return Engine(
        "ferrio",
        loop_factory,
        ferrio.Task,
        ferrio.Future,
        ferrio.Handle,
        ferrio.TimerHandle,
    )


@pytest.fixture
def loop(engine):
    """A new loop of the engine, closed (with its executor) at the end."""
    loop = engine.new_loop()
    yield loop
    close_loop(loop)


@pytest.fixture
def stock_loop():
    """A new loop of the interpreter's own asyncio."""
    loop = asyncio.SelectorEventLoop()
    yield loop
    close_loop(loop)


@pytest.fixture(params=["asyncio", "ferrio"])
def package(request):
    """The module that has the classes and functions under test: stock's, then the native ones."""
    return importlib.import_module(request.param)


@pytest.fixture
def background(loop):
    """The loop running in a thread of its own until the test ends."""
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture
def run(loop):
    """Run a coroutine on the loop to its end and return its result."""
    return loop.run_until_complete


@pytest.fixture
def run_out(loop):
    """The same as `run`, and then what the coroutine left: its tasks, and callbacks of closing."""

    async def settle():
        me = asyncio.current_task()
        while left := asyncio.all_tasks() - {me}:
            await asyncio.wait(left)
        for _ in range(3):
            await asyncio.sleep(0)

    def run_out(coro):
        result = loop.run_until_complete(coro)
        loop.run_until_complete(settle())
        return result

    return run_out


@pytest.fixture
def run_main(loop_factory):
    """Run a coroutine function on a loop of its own and return its result."""

    def run_main(main, **options):
        with asyncio.Runner(loop_factory=loop_factory, **options) as runner:
            return runner.run(main())

    return run_main


@pytest.fixture
def task_class(engine):
    return engine.task_class


@pytest.fixture
def future_class(engine):
    return engine.future_class


@pytest.fixture
def handle_class(engine):
    return engine.handle_class


@pytest.fixture
def timer_handle_class(engine):
    return engine.timer_handle_class


@pytest.fixture
def reported(loop):
    """The contexts that reach the loop's exception handler, in order."""
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


@pytest.fixture
def turns(loop):
    """Run that many turns of the loop (one when no number is given)."""

    def run_turns(number=1):
        for _ in range(number):
            loop.stop()
            loop.run_forever()

    return run_turns


@pytest.fixture
def same_as_stock(engine):
    """Run `scenario(loop, engine)` on both implementations; the outcomes must be equal.

    Returns the outcome: ("returned", value) or ("raised", type, text).
    """

    def compare(scenario):
        expected = outcome(scenario, STOCK)
        assert outcome(scenario, engine) == expected
        return expected

    return compare


@pytest.fixture
def same_trace(same_as_stock):
    """Run `async def scenario(trace)` on both implementations; the traces must be equal.

    With `turns=False` only the order of the events must be. Returns the trace, as (name, event,
    arguments...) without the turns.
    """

    def compare(scenario, turns=True):
        kind, events, *text = same_as_stock(traced(scenario, turns))
        assert kind == "returned", (events, text)
        return [event for _, *event in events]

    return compare


@pytest.fixture(params=stream_classes.OFFERED, ids=lambda offered: offered.name)
def streams(request):
    """The classes and functions of streams under test, by their names in asyncio."""
    return request.param


@pytest.fixture
def same_streams(engine, streams):
    """Run `async def scenario(trace, streams)` with stock's streams on stock's loop, and with those
    under test on the engine; the traces must be equal. Returns the trace as `same_trace` does."""

    def compare(scenario, turns=True):
        def play(offered, engine):
            return outcome(traced(functools.partial(scenario, streams=offered), turns), engine)

        expected = play(stream_classes.STOCK, STOCK)
        assert play(streams, engine) == expected
        kind, events, *text = expected
        assert kind == "returned", (events, text)
        return [event for _, *event in events]

    return compare


@pytest.fixture
def tcp_pair():
    """Make two TCP sockets that are connected with each other; open ones are closed at the end."""
    made = []

    def connect(host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as listener:
            listener.bind((host, 0))
            listener.listen(1)
            near = socket.socket(family)
            near.connect(listener.getsockname())
            far, _ = listener.accept()
        made.extend((near, far))
        near.setblocking(False)
        far.setblocking(False)
        return near, far

    yield connect
    for sock in made:
        sock.close()


@pytest.fixture(scope="session")
def server_context():
    """A context of TLS without certificates, which has a cipher in common with the client's."""
    try:
        return anonymous_context(ssl.PROTOCOL_TLS_SERVER)
    except ssl.SSLError:
        pytest.skip("this OpenSSL has no anonymous ciphers")


@pytest.fixture(scope="session")
def client_context(server_context):
    return anonymous_context(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def silent_address():
    """The address of a listening TCP socket that answers no one: its queue is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        yield full.getsockname()


@pytest.fixture
def run_python(engine):
    """Run a program in a new interpreter where `new_loop` makes loops of the engine.

    Returns the finished process with its output as text.
    """
    if engine.name == "ferrio":
        head = "import asyncio, ferrio\nnew_loop = ferrio.new_event_loop\n"
    else:
        head = "import asyncio\nnew_loop = asyncio.SelectorEventLoop\n"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    environment.pop("PYTHONASYNCIODEBUG", None)

    def run_program(source, *options, **variables):
        return subprocess.run(
            [sys.executable, *options, "-c", head + textwrap.dedent(source)],
            capture_output=True,
            text=True,
            timeout=25,
            env={**environment, **variables},
        )

    return run_program


def anonymous_context(protocol):
    """One whose ends agree on an anonymous cipher, which TLS 1.2 still has."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def outcome(scenario, engine):
    """What the scenario returned or raised, with addresses, names and numbers made equal."""
    loop = engine.new_loop()
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    try:
        return "returned", normalise(scenario(loop, engine))
    except pytest.fail.Exception:  # a time-out of the test itself
        raise
    except BaseException as exc:
        return "raised", type(exc), normalise(str(exc))
    finally:
        close_loop(loop)
        gc.collect()


def normalise(value):
    """`value` with object addresses, task numbers and loop class names replaced in its texts."""
    if isinstance(value, str):
        value = re.sub(r"0x[0-9a-f]+", "0x", value)
        value = re.sub(r"\bTask-\d+", "Task-N", value)
        value = re.sub(
            r"\b_asyncio\.|\bferrio\.(?:_ferrio\.)?|\basyncio\.(?=Task|Future)", "", value
        )
        return re.sub(r"_UnixSelectorEventLoop|\bEventLoop\b", "Loop", value)
    if isinstance(value, (list, tuple)):
        return type(value)(normalise(item) for item in value)
    if isinstance(value, dict):
        return {key: normalise(item) for key, item in value.items()}
    return value


def close_loop(loop):
    """Close the loop; threads of its executor are joined first."""
    if not loop.is_closed():
        if getattr(loop, "_default_executor", None) is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
