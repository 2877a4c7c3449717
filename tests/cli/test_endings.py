"""How a program ends: exit status, tracebacks byte for byte, Ctrl-C, and what runs at exit."""

import re
import signal
import sys
import textwrap

import pytest


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit(259)", 3),
        ("sys.exit(-1)", 255),
        ("sys.exit('gone')", 1),
        ("sys.exit(('a', 1))", 1),
        ("raise SystemExit(True)", 1),
        ("exit(4)", 4),
        ("os._exit(5)", 5),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        # Since 3.14 a subclass ends the process as KeyboardInterrupt itself does.
        (
            "raise type('Stop', (KeyboardInterrupt,), {})",
            1 if sys.version_info < (3, 14) else -signal.SIGINT,
        ),
        ("raise GeneratorExit", 1),
        ("os.abort()", -signal.SIGABRT),
        ("os.kill(os.getpid(), 15)", -signal.SIGTERM),
        ("asyncio.run(asyncio.sleep(0, sys)).exit(6)", 6),
    ],
)
def test_the_exit_status_is_that_of_python(workshop, statement, status):
    workshop.write("program.py", f"import asyncio, os, sys\n{statement}\n")
    assert workshop.run_both("program.py").status == status
    assert workshop.run_both("-m", "program").status == status
    assert workshop.run_both("-c", f"import asyncio, os, sys; {statement}").status == status


RAISING = {
    "nested": """
        def inner(x):
            return 1 / x

        def outer():
            inner(0)

        outer()
    """,
    "chained": """
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("no key") from error
    """,
    "during_another": """
        try:
            {}["key"]
        except KeyError:
            raise ValueError("no key")
    """,
    "group_with_notes": """
        error = ExceptionGroup("both", [ValueError(1), TypeError(2)])
        error.add_note("a note")
        raise error
    """,
    "own_hook": """
        import sys, traceback

        def hook(kind, error, tb):
            print("hooked", kind, error, [f.name for f in traceback.extract_tb(tb)])
            print(error.__traceback__ is tb, file=sys.stderr)

        sys.excepthook = hook
        raise ValueError("caught")
    """,
    "in_a_thread": """
        import threading

        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
    """,
    "at_exit": """
        import atexit

        atexit.register(lambda: 1 / 0)
    """,
    "from_an_import": "import broken",
    "code_that_the_program_compiles": "exec(compile('\\n1/0', 'made.py', 'exec'))",
    "in_a_coroutine": """
        import asyncio

        async def inner():
            await asyncio.sleep(0)
            raise LookupError("lost")

        async def main():
            await inner()

        asyncio.run(main())
    """,
    "in_a_task_group": """
        import asyncio

        async def fail(text):
            raise LookupError(text)

        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail("a"))
                group.create_task(fail("b"))

        asyncio.run(main())
    """,
    "raised_again_later": """
        import sys

        try:
            1 / 0
        except ZeroDivisionError as error:
            kept = error

        def late():
            raise kept

        late()
    """,
}


@pytest.mark.parametrize("name", RAISING)
def test_a_traceback_is_printed_as_python_prints_it(workshop, name):
    workshop.write("broken.py", "def f():\n    return 1\nf(2)\n")
    workshop.write("program.py", RAISING[name])
    outcome = workshop.run_both("program.py")
    assert "ferrio" not in outcome.err.replace(str(workshop.folder), "")
    workshop.run_both("-m", "program")


def test_endless_recursion_ends_as_in_python(workshop):
    # Our own frames are a few of those that the limit allows, so the count is not compared.
    workshop.write("program.py", "def again():\n    again()\n\nagain()\n")
    stock, served = (workshop.run(on, "program.py") for on in ("stock", "ferrio"))
    count = re.compile(r"\d+ more times")
    assert count.sub("", served.err) == count.sub("", stock.err)
    assert "RecursionError" in served.err


@pytest.mark.parametrize(
    "source",
    [
        "x = (1 +\n",
        "\nif 1:\n  x\n y\n",
        'print "x"\n',
        "x = 'a\n",
        "a b\n",
        "def f():\n return\nf(\n",
    ],
)
def test_a_syntax_error_is_printed_as_python_prints_it(workshop, source):
    workshop.write("program.py", source)
    assert workshop.run_both("program.py").status == 1
    assert workshop.run_both("-m", "program").status == 1
    assert workshop.run_both("-c", source).status == 1


def test_source_in_another_encoding_runs(workshop):
    (workshop.folder / "program.py").write_bytes(
        b"# coding: latin-1\nprint(ascii('\xe9'))\nraise ValueError('\xe9')  # \xff\n"
    )
    assert workshop.run_both("program.py").out == "'\\xe9'\n"


def test_a_traceback_of_a_command_shows_what_python_shows(workshop):
    outcome = workshop.run_both("-c", "def f():\n    1 / 0\nf()\n")
    assert ("1 / 0" in outcome.err) == (sys.version_info >= (3, 13))


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.py"],
        ["folder/missing.py"],
        ["folder"],
        ["."],
        [""],
        ["program.py/x"],
        ["-m", "missing"],
        ["-m", "missing.part"],
        ["-m", "package"],
        ["-m", "program.py"],
        ["-m", "program.part"],
        ["-m", ".relative"],
        ["-m", "json.decoder.x"],
    ],
)
def test_a_program_that_is_not_there_is_reported_as_python_does(workshop, arguments):
    workshop.write("program.py", "print('ran')")
    workshop.write("package/__init__.py", "")
    workshop.write("folder/readme", "")
    assert workshop.run_both(*arguments).status != 0


def test_what_runs_at_exit_runs_in_order_and_is_flushed(workshop):
    workshop.write(
        "program.py",
        """
        import asyncio, atexit, sys, threading, time, weakref

        class Kept:
            def __del__(self):
                print("deleted")

        kept = Kept()
        weakref.finalize(kept, print, "finalized")
        atexit.register(print, "at exit 1")
        atexit.register(print, "at exit 2")

        def late():
            time.sleep(0.2)
            print("thread")

        threading.Thread(target=late).start()
        asyncio.run(asyncio.sleep(0))
        sys.stdout.write("no line end")
        """,
    )
    assert workshop.run_both("program.py").out.startswith("no line end")


CTRL_C = {
    "in_python": "import time\nprint('ready', flush=True)\ntime.sleep(20)\n",
    "in_a_finally": """
        import time
        print("ready", flush=True)
        try:
            time.sleep(20)
        finally:
            print("cleaned")
    """,
    "handled": """
        import time
        print("ready", flush=True)
        try:
            time.sleep(20)
        except KeyboardInterrupt:
            raise SystemExit(7)
    """,
    "in_a_sleeping_loop": """
        import asyncio

        async def main():
            print("ready", flush=True)
            try:
                await asyncio.sleep(20)
            finally:
                print("cleaned")

        asyncio.run(main())
    """,
    "in_a_busy_coroutine": """
        import asyncio

        async def main():
            print("ready", flush=True)
            try:
                while True:
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                print("cancelled")
                raise

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """,
    "swallowed_by_the_coroutine": """
        import asyncio

        async def main():
            print("ready", flush=True)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return 5

        print(asyncio.run(main()))
    """,
}


@pytest.mark.parametrize("name", CTRL_C)
def test_ctrl_c_ends_a_program_as_it_ends_python(workshop, name):
    workshop.write("program.py", CTRL_C[name])
    workshop.interrupt_both("program.py", asleep="busy" not in name)


def test_a_loop_that_is_left_open_with_timers_ends_silently(workshop):
    workshop.write(
        "open.py",
        """
        import asyncio
        loop = asyncio.new_event_loop()
        loop.call_later(100, print)
        loop.call_later(200, print)
        loop.call_soon(print)
        print("end")
        """,
    )
    assert workshop.run_both("open.py").err == ""


OPEN = {
    "streams": """
        served = asyncio.Event()

        async def serve(*_):
            served.set()
            await asyncio.sleep(100)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ends = await asyncio.open_connection(*server.sockets[0].getsockname())
        await served.wait()
    """,
    "a transport": """
        near, ends = socket.socketpair()
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    """,
    "a datagram transport": """
        loop = asyncio.get_running_loop()
        ends = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
    """,
    "a child": """
        ends = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    """,
    "a task in a timeout": """
        async def waits():
            async with asyncio.timeout(100):
                await asyncio.sleep(100)

        ends = asyncio.create_task(waits())
        await asyncio.sleep(0)
    """,
}


@pytest.mark.parametrize("what", OPEN)
def test_a_program_that_leaves_something_open_ends_as_in_python(workshop, what):
    """Finalizers run when modules cannot be imported any more, and must not complain of that."""
    if what == "a child" and sys.version_info < (3, 12):
        pytest.skip("3.11's thread holds the transport")
    source = "import asyncio, socket\n\nasync def main():\n    global ends, server\n"
    source += textwrap.indent(textwrap.dedent(OPEN[what]), "    ")
    source += "\nloop = asyncio.new_event_loop()\nloop.run_until_complete(main())\nprint('end')\n"
    workshop.write("open.py", source)
    stock, ferrio = (workshop.run(on, "open.py") for on in ("stock", "ferrio"))
    assert (stock.status, stock.out) == (ferrio.status, ferrio.out) == (0, "end\n")
    assert last_words(ferrio) == last_words(stock)
    shown = [workshop.run(on, "open.py", options=["-Wdefault"]) for on in ("stock", "ferrio")]
    assert unclosed(shown[1]) == unclosed(shown[0])


def last_words(outcome):
    """The lines that are no part of a traceback; of a task no more than its name."""
    lines = [line for line in outcome.err.splitlines() if not line.startswith((" ", "Traceback"))]
    return [re.sub(r"(name='[^']*') .*", r"\1", line) for line in lines]


def assert_ends_alike(workshop, source):
    """The program's status, output and last words are those that it has on stock."""
    workshop.write("ends.py", textwrap.dedent(source))
    stock, ferrio = (workshop.run(on, "ends.py") for on in ("stock", "ferrio"))
    assert (ferrio.status, ferrio.out) == (stock.status, stock.out)
    assert last_words(ferrio) == last_words(stock)


def unclosed(outcome):
    """What was left open, sorted."""
    return sorted(re.findall(r"ResourceWarning: (unclosed \S+|loop is closed)", outcome.err))


DAEMONS = {
    "switches between tasks": "asyncio.run(spin())",
    "computes in a task": "asyncio.run(compute())",
    "sleeps in a callback": "asyncio.run(block())",
    "calls another's loop": "call_soon(loop)",
    "is a worker of an executor": "asyncio.run(work())",
}


@pytest.mark.parametrize("options", [(), ("-X", "dev")], ids=["", "dev"])
@pytest.mark.parametrize("what", DAEMONS)
def test_a_daemon_thread_that_is_at_work_does_not_keep_a_program_from_ending(
    workshop, what, options
):
    """Before 3.14 the interpreter ends such a thread, whose stack has our frames on it."""
    source = """
        import asyncio, sys, threading, time

        begun = threading.Event()
        loop = asyncio.new_event_loop()

        async def spin():
            while True:
                await asyncio.sleep(0)
                begun.set()

        async def compute():
            while True:
                begun.set()
                sum(range(1000))

        async def block():
            asyncio.get_running_loop().call_soon(time.sleep, 0.1)
            await spin()

        def busy():
            while True:
                begun.set()

        async def work():
            threading.Thread = lambda *args, start=threading.Thread, **kwargs: start(
                *args, **{**kwargs, "daemon": True}
            )
            threading._register_atexit = lambda *args: None
            await asyncio.get_running_loop().run_in_executor(None, busy)

        def call_soon(loop):
            while True:
                loop.call_soon_threadsafe(int)
                loop.create_future().set_result(None)
                begun.set()

        threading.Thread(target=lambda: WHAT, daemon=True).start()
        begun.wait()
        print("end", flush=True)
        sys.exit(4)
    """.replace("WHAT", DAEMONS[what])
    workshop.write("daemon.py", textwrap.dedent(source))
    for on in ("stock", "ferrio"):
        outcome = workshop.run(on, "daemon.py", options=options)
        assert (outcome.status, outcome.out) == (4, "end\n"), (on, outcome.err)


EXITS = {
    "a local of a function": """
        import atexit, sys

        class Told:
            def __del__(self):
                print("gone")

        def run():
            told = Told()
            atexit.register(print, "at exit")
            sys.exit(3)

        run()
    """,
    "a local of a coroutine": """
        import asyncio, atexit, sys

        class Told:
            def __del__(self):
                print("gone")

        async def main():
            told = Told()
            atexit.register(print, "at exit")
            sys.exit(3)

        asyncio.run(main())
    """,
    "a task": """
        import asyncio, sys

        async def leave():
            sys.exit(3)

        async def main():
            task = asyncio.create_task(leave())
            await asyncio.sleep(1)

        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("what", EXITS)
def test_what_sys_exit_passes_is_let_go_before_the_end(workshop, what):
    assert_ends_alike(workshop, EXITS[what])


def test_the_end_of_a_server_with_an_open_connection_is_logged_as_in_python(workshop):
    """Before 3.13 the callback of a cancelled handler is reported, with its place in asyncio."""
    source = """
        import asyncio

        async def main():
            begun = asyncio.Event()

            async def serve(reader, writer):
                begun.set()
                await reader.read()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            ends = await asyncio.open_connection(*server.sockets[0].getsockname())
            await begun.wait()

        asyncio.run(main())
    """
    workshop.write("serves.py", textwrap.dedent(source))
    stock, ferrio = (workshop.run(on, "serves.py") for on in ("stock", "ferrio"))
    logged = [
        [line for line in outcome.err.splitlines() if line.startswith(("Exception in", "handle"))]
        for outcome in (stock, ferrio)
    ]
    assert logged[1] == logged[0]
    assert len(logged[0]) == (2 if sys.version_info < (3, 13) else 0)


FINAL = {
    "a task that opens a group when it is destroyed": """
        import asyncio

        async def main():
            try:
                await asyncio.sleep(100)
            finally:
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(0))

        loop = asyncio.new_event_loop()
        task = loop.create_task(main())
        loop.call_soon(loop.stop)
        loop.run_forever()
    """,
    "a finalizer that runs a loop": """
        import asyncio

        class Last:
            def __del__(self):
                asyncio.run(asyncio.sleep(0))
                print("ran")

        last = Last()
        asyncio.run(asyncio.sleep(0))
    """,
}


@pytest.mark.parametrize("what", FINAL)
def test_what_finalizers_do_at_the_end_is_as_in_python(workshop, what):
    assert_ends_alike(workshop, FINAL[what])


LEFT_OPEN = """
    import asyncio

    async def inner():
        await asyncio.get_running_loop().create_future()

    async def wait_for():
        await asyncio.wait_for(inner(), 9)

    async def queue():
        await asyncio.Queue().get()

    async def lock():
        lock = asyncio.Lock()
        async with lock:
            await lock.acquire()

    async def condition():
        condition = asyncio.Condition()
        async with condition:
            await condition.wait_for(lambda: False)

    async def barrier():
        await asyncio.Barrier(2).wait()

    async def timeout():
        async with asyncio.timeout(50):
            await inner()

    loop = asyncio.new_event_loop()
    task = loop.create_task({waits}())
    loop.call_soon(loop.stop)
    loop.run_forever()
"""


@pytest.mark.parametrize("waits", ["wait_for", "queue", "lock", "condition", "barrier", "timeout"])
def test_a_program_that_ends_with_a_pending_task_on_an_open_loop(workshop, waits):
    workshop.write("program.py", textwrap.dedent(LEFT_OPEN).format(waits=waits))
    outcomes = [workshop.run(on, "program.py") for on in ("stock", "ferrio")]
    assert [outcome.status for outcome in outcomes] == [0, 0]
    # The tracebacks of what cannot be closed have frames of asyncio's on stock.
    told = [
        [line for line in outcome.err.splitlines() if not line.startswith(" ")]
        for outcome in outcomes
    ]
    assert told[0] == told[1]
