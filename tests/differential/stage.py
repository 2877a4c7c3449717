"""What a generated program is played on: its loop, its trace, and what it may ask of both.

A program reads `from stage import *`, calls `new_loop`, makes its locks and queues, defines its
tasks, and ends with `play(...)`. Whatever happens is noted in `TRACE`, in order. What depends on
when an object dies (reports of the exception handler about lost errors, warnings, errors that
nobody can catch) is noted in `LATE`, which is compared without its order.

Two clocks, the same on every engine:

- `clock="virtual"`: `loop.time` shows a number that moves only when the selector is asked to wait;
  it then polls without waiting and moves the number by the timeout. Delays of seconds take no
  time, and deadlines that are equal are exactly equal. Any number of timers, but both are patches,
  so an engine takes the paths that it has for patched loops.
- `clock="turns"`: nothing is patched. Delays are zero, already over, or for ever; a task that runs
  in every turn counts the turns, and each event says in which turn it came.

A program that hangs is cancelled, and cancelled again, and then left. `LIMIT` events end one that
never comes to rest.
"""

import asyncio
import contextlib
import contextvars
import functools
import gc
import itertools
import logging
import os
import selectors
import socket
import sys
import types
import warnings
import weakref

from describing import describe, normalise

__all__ = [
    "abort",
    "attempt",
    "before",
    "checked",
    "current",
    "log",
    "new_loop",
    "play",
    "raising",
    "served_pair",
    "stream_pair",
    "task",
    "traced",
    "variable",
    "write",
    "yielding",
]

LIMIT = 3000
PATIENCE = 40  # turns, or half of it seconds of the virtual clock, until what hangs is cancelled
ROUNDS = 4
ADDRESS = f"\0ferrio-differential-{os.getpid()}"  # an abstract name, see unix(7)

TRACE = []
LATE = []
tasks = {}
births = weakref.WeakKeyDictionary()
numbers = itertools.count()
variable = contextvars.ContextVar("variable", default=0)


class Endless(BaseException):
    """The program makes events without end."""


class State:
    """Of the program that is played now."""

    loop = None
    turn = 0
    moment = staticmethod(lambda: None)
    over = False
    pause = 0


class VirtualClock(selectors.DefaultSelector):
    """A selector that does not wait but moves the time on, and the clock that shows it."""

    now = 1000.0
    polls = 0

    def select(self, timeout=None):
        self.polls += 1
        if self.polls > LIMIT:
            raise Endless("the selector was asked too often")
        events = super().select(0)
        if not events:
            if timeout is None:
                raise Endless("nothing can happen any more")
            self.now = round(self.now + max(0, timeout), 6)
        return sorted(events, key=lambda event: event[0].fd)

    def time(self):
        return self.now


class LogLines(logging.Handler):
    """Notes what asyncio's logger is told."""

    def emit(self, record):
        late("logged", record.levelname, normalise(record.getMessage()))


def start(namespace):
    """Once per process: catch all that an engine says, and keep what was imported `before`."""
    before.__dict__.update(namespace)
    logger = logging.getLogger("asyncio")
    logger.addHandler(LogLines())
    logger.propagate = False
    warnings.simplefilter("always")
    warnings.showwarning = note_warning
    sys.unraisablehook = lambda lost: late(
        "unraisable", normalise(str(lost.err_msg)), describe(lost.exc_value)
    )


def note_warning(message, category, *_, **__):
    """Any but that of a socket: its transport tells as well, and a native one may have none."""
    text = normalise(str(message))
    if not text.startswith("unclosed <socket.socket"):
        late("warned", category.__name__, text)


before = types.SimpleNamespace()  # asyncio's names as they were before install()


def late(*event):
    LATE.append(event)


def log(label, *values):
    """Note an event: when, in which task, how often that is cancelled, and the values."""
    described = tuple(describe(value) for value in values)
    if State.over or asyncio._get_running_loop() is None:
        late("after the end", label, *described)
        return
    if len(TRACE) > LIMIT:
        raise Endless("too many events")
    task = asyncio.current_task()
    who = (normalise(task.get_name()), task.cancelling()) if task is not None else None
    TRACE.append((State.moment(), label, *described, who, variable.get()))


def new_loop(clock, debug=False, eager=False):
    """The loop of this program; what the last one left is gone."""
    TRACE.clear()
    LATE.clear()
    tasks.clear()
    State.over, State.turn = False, 0
    loop = asyncio.new_event_loop()
    if clock == "virtual":
        selector = VirtualClock()
        loop.close()
        loop = type(loop)(selector)
        loop.time = selector.time
        State.moment, State.pause = lambda: (selector.now, selector.polls), 0.5
    else:
        State.moment, State.pause = lambda: State.turn, 0
    loop.slow_callback_duration = 1000
    loop.set_debug(debug)
    loop.set_exception_handler(report)
    asyncio.set_event_loop(loop)
    State.loop = loop
    if eager:
        loop.set_task_factory(numbering(asyncio.create_eager_task_factory(task_class(loop))))
    return loop


def numbering(factory):
    """A task factory that notes the order of births: eager tasks of some Pythons share a name."""

    def numbered(loop, coro, **options):
        number = next(numbers)
        task = factory(loop, coro, **options)
        births[task] = number
        return task

    return numbered


def task_class(loop):
    """The class of the tasks that the loop makes."""

    async def nothing():
        pass

    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    return type(task)


def report(_, context):
    """The exception handler."""
    shown = {
        key: describe(value)
        for key, value in sorted(context.items())
        if key not in ("source_traceback", "handle", "transport", "protocol")
    }
    late("reported", tuple(shown.items()))


def traced(function):
    """A coroutine function whose start and end are noted."""

    @functools.wraps(function)
    async def run(*args):
        task, name = asyncio.current_task(), function.__name__
        if task is not None and task.get_name().startswith("Task-"):
            task.set_name(name)
            births.setdefault(task, next(numbers))
        log(name)
        try:
            value = await function(*args)
        except BaseException as error:
            log(f"{name} raises", error)
            raise
        log(f"{name} returns", value)
        return value

    return run


def attempt(label, function, *args, **keywords):
    """Call it; note what it returns or raises."""
    try:
        value = function(*args, **keywords)
    except Exception as error:
        log(label, error)
        return None
    log(label, value)
    return value


def checked(label, value):
    """The value of an expression, noted on its way."""
    log(label, value)
    return value


def raising(error):
    """Raise it, where only an expression may stand."""
    raise error


def task(name):
    """The task of that name, started by `play`."""
    return tasks[name]


def current():
    return asyncio.current_task()


@types.coroutine
def yielding():
    """A bare yield."""
    yield


async def stream_pair(limit=16, far_names=asyncio):
    """Reader and writer of both ends of a socket pair."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    near = await asyncio.open_connection(sock=left, limit=limit)
    far = await far_names.open_connection(sock=right, limit=limit)
    return *near, *far


async def served_pair(limit=16, far_names=asyncio):
    """The same with a server between them, which is closed at once."""
    accepted = State.loop.create_future()
    server = await far_names.start_unix_server(
        lambda *far: accepted.set_result(far), ADDRESS, limit=limit
    )
    near = await asyncio.open_unix_connection(ADDRESS, limit=limit)
    far = await accepted
    server.close()
    return *near, *far


def write(writer, data):
    """Write, and have it sent before anything else happens."""
    with contextlib.suppress(AttributeError):  # as docs/compatibility.md says of writes after close
        writer.write(data)
    writer.transport.get_write_buffer_size()


def abort(writer):
    """Abort the writer's transport, after a close as well."""
    with contextlib.suppress(AttributeError):  # the same
        writer.transport.abort()


def play(*functions, cancel=()):
    """Run the tasks together to their end, and close the loop.

    `cancel` has pairs of a turn, or of half a second, and the name of a task to cancel then.
    """
    loop = State.loop
    try:
        loop.run_until_complete(loop.create_task(direct(functions, cancel), name="main"))
    except BaseException as error:
        TRACE.append(("left the loop", describe(error)))
    tasks.clear()
    State.over = True
    try:
        loop.close()
    except BaseException as error:
        TRACE.append(("close", describe(error)))
    asyncio.set_event_loop(None)
    State.loop = None


async def direct(functions, cancel):
    """The main task: starts the others, counts the turns, cancels what hangs."""
    for function in functions:
        name = function.__name__
        tasks[name] = State.loop.create_task(function(), name=name)
    for number in range(ROUNDS):
        if await came_to_rest(cancel):
            return
        for left in others():
            log("cancel what hangs", left.get_name(), left.cancel(f"round {number}"))
    for left in others():
        log("hangs for good", left)


async def came_to_rest(cancel):
    for _ in range(PATIENCE):
        State.turn += 1
        await asyncio.sleep(State.pause)
        for turn, name in cancel:
            if turn == State.turn:
                attempt("cancel", tasks[name].cancel, "from above")
        if all(task.done() for task in tasks.values()) and not others():
            return True
    return False


def others():
    """All other tasks that are not done, in an order that does not depend on addresses."""
    mine = asyncio.current_task()
    left = (task for task in asyncio.all_tasks() if task is not mine)
    return sorted(left, key=lambda task: (task.get_name(), births.get(task, 0)))


def outcome():
    """The trace of the program that was played."""
    gc.collect()
    return list(TRACE), sorted(LATE, key=repr)
