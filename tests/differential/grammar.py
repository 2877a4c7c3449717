"""Random asyncio programs as Python source, drawn by hypothesis.

`programs()` draws choices, and an `Author` writes the program that they mean. The first of each
list of alternatives is the simplest, so that a program shrinks towards sleeps of zero and short
bodies. Each program uses a few features only, drawn anew: many programs of few features meet more
odd cases of each than programs that use a bit of everything.

Awaiting goes from tasks of higher numbers to those of lower ones, so tasks never await each other
in a circle: cancelling one would recurse without end, on stock as well.
"""

import contextlib
import sys
from functools import cache

from hypothesis import strategies as st
from stream_words import StreamWords

FEATURES = (
    "futures",
    "locks",
    "events",
    "semaphores",
    "queues",
    "conditions",
    "gather",
    "shield",
    "timeouts",
    "wait_for",
    "groups",
    "wait",
    "barriers",
    "as_completed",
    "callbacks",
    "streams",
    "mixed",
)
MOST_STATEMENTS = 32
MOST_FUNCTIONS = 9
DEEPEST = 4

DELAYS = {
    "virtual": ("0", "1", "2", "3", "0.5", "-1"),
    "turns": ("0", "1e-9", "1000", "-1"),
}
TIMEOUTS = {
    "virtual": ("1", "2", "0", "3", "None", "-1"),
    "turns": ("0", "1000", "None", "-1"),
}
ERRORS = ("ValueError({})", "LookupError({})", "TimeoutError({})", "asyncio.CancelledError({})")
CAUGHT = ("Exception", "asyncio.CancelledError", "TimeoutError", "ValueError")
CAUGHT_ALL = "(Exception, asyncio.CancelledError)"


@cache
def numbers(count):
    return st.integers(0, count - 1)


@st.composite
def programs(draw, features=None):
    """The source of a program that uses some of the features, or those that are given."""
    return Author(draw).write(features)


class Author(StreamWords):
    """Writes one program."""

    def __init__(self, draw):
        self.draw = draw
        self.shared = {}
        self.functions = []
        self.lines = []
        self.indent = 1
        self.depth = 0
        self.statements = 0
        self.labels = 0
        self.function_count = 0
        self.owner = 0
        self.children = []
        self.limits = []

    # What is drawn

    def choose(self, count):
        return self.draw(numbers(count))

    def pick(self, alternatives):
        return alternatives[self.choose(len(alternatives))]

    def rarely(self, one_in=6):
        return self.choose(one_in) == one_in - 1

    # The whole

    def write(self, features):
        self.clock = self.pick(("turns", "virtual"))
        if features is None:
            features = [self.pick(FEATURES) for _ in range(3)]
        self.features = set(features)
        options = ", debug=True" if self.rarely(20) else ""
        if sys.version_info >= (3, 12) and self.rarely(15):
            options += ", eager=True"
        self.count = 1 + self.choose(5)
        self.tops = [f"t{number}" for number in range(self.count)]
        self.function_count = self.count
        for number, name in enumerate(self.tops):
            self.owner = number
            self.function(name)
        cancel = [
            f'({1 + self.choose(12)}, "{self.pick(self.tops)}")' for _ in range(self.choose(4))
        ]
        ending = f", cancel=[{', '.join(cancel)}]" if cancel else ""
        return "\n".join(
            [
                "import asyncio",
                "from stage import *",
                "",
                f'loop = new_loop("{self.clock}"{options})',
                *self.stream_lines(),
                *self.shared.values(),
                *self.functions,
                "",
                f"play({', '.join(self.tops)}{ending})",
                "",
            ]
        )

    def function(self, name):
        """Write a coroutine function of that name."""
        outer = self.lines, self.indent, self.children, self.limits
        self.lines, self.indent, self.children, self.limits = [], 1, [], []
        self.body()
        text = ["", "@traced", f"async def {name}():", *self.lines]
        self.lines, self.indent, self.children, self.limits = outer
        self.functions += text

    def child(self):
        """A call of a coroutine function, a new one while there may be more."""
        if self.function_count >= MOST_FUNCTIONS or self.depth >= DEEPEST:
            return f"asyncio.sleep({self.delay()}, {self.choose(3)})"
        name = f"t{self.function_count}"
        self.function_count += 1
        self.depth += 1
        self.function(name)
        self.depth -= 1
        return f"{name}()"

    def body(self):
        """Write statements; at least one line."""
        before = len(self.lines)
        while self.statements < MOST_STATEMENTS and self.choose(4 if self.depth else 7):
            self.statements += 1
            if self.choose(12) == 11:
                self.end()
                return
            self.statement()
        if len(self.lines) == before:
            self.put("pass")

    def put(self, text):
        self.lines.append("    " * self.indent + text)

    @contextlib.contextmanager
    def inside(self, text):
        """A compound statement."""
        self.put(text)
        self.indent += 1
        self.depth += 1
        children, limits = list(self.children), list(self.limits)
        yield
        self.children, self.limits = children, limits
        self.depth -= 1
        self.indent -= 1

    def label(self):
        self.labels += 1
        return self.labels

    def log(self, expression):
        self.put(f"log({self.label()}, {expression})")

    def attempt(self, call):
        """A call whose error does not end the task."""
        function, _, arguments = call.removesuffix(")").partition("(")
        self.put(f"attempt({self.label()}, {function}{', ' if arguments else ''}{arguments})")

    # Words

    def delay(self):
        return self.pick(DELAYS[self.clock])

    def timeout(self):
        return self.pick(TIMEOUTS[self.clock])

    def error(self):
        return self.pick(ERRORS).format(self.label())

    def namespace(self):
        """Where a class is taken from: now, or as it was imported before install()."""
        return "before" if "mixed" in self.features and self.choose(2) else "asyncio"

    def thing(self, letter, maker):
        """One of two shared objects of a kind."""
        name = f"{letter}{int(self.rarely(3))}"
        if name not in self.shared:
            self.shared[name] = f"{name} = {maker()}"
        return name

    def future(self):
        def maker():
            if "mixed" in self.features and self.choose(2):
                return "asyncio.Future(loop=loop)"
            return "loop.create_future()"

        return self.thing("f", maker)

    def lock(self):
        return self.thing("l", lambda: f"{self.namespace()}.Lock()")

    def event(self):
        return self.thing("e", lambda: f"{self.namespace()}.Event()")

    def condition(self):
        def maker():
            own = self.lock() if "locks" in self.features and self.rarely(3) else ""
            return f"{self.namespace()}.Condition({own})"

        return self.thing("c", maker)

    def semaphore(self):
        def maker():
            kind = self.pick(("Semaphore", "BoundedSemaphore"))
            return f"{self.namespace()}.{kind}({self.choose(3)})"

        return self.thing("s", maker)

    def barrier(self):
        return self.thing("b", lambda: f"{self.namespace()}.Barrier({self.choose(3) + 1})")

    def queue(self):
        kinds = ("Queue", "LifoQueue", "PriorityQueue")
        return self.thing("q", lambda: f"{self.namespace()}.{self.pick(kinds)}({self.choose(3)})")

    def some_task(self):
        """Any task: to be cancelled or looked at."""
        if self.children and not self.rarely(3):
            return self.pick(self.children)
        return f'task("{self.pick(self.tops)}")'

    def awaited_task(self):
        """A task that may be awaited from here, or None."""
        if self.children and (not self.owner or self.choose(2)):
            return self.pick(self.children)
        if self.owner:
            return f'task("t{self.choose(self.owner)}")'
        return None

    def awaitable(self):
        """An expression to be awaited, made to a task, or given to a combinator."""
        self.depth += 1
        text = self.pick(self.awaitables())()
        self.depth -= 1
        return text

    def awaitables(self):
        found = [lambda: f"asyncio.sleep({self.delay()}, {self.choose(3)})", self.child, self.child]
        found.append(lambda: self.awaited_task() or "yielding()")
        simple = {
            "futures": lambda: self.future(),
            "locks": lambda: f"{self.lock()}.acquire()",
            "events": lambda: f"{self.event()}.wait()",
            "semaphores": lambda: f"{self.semaphore()}.acquire()",
            "queues": lambda: f"{self.queue()}.{self.pick(('get()', 'put(1)', 'join()'))}",
            "barriers": lambda: f"{self.barrier()}.wait()",
            "streams": lambda: self.reading(),
        }
        found += [make for feature, make in simple.items() if feature in self.features]
        if self.depth < DEEPEST:
            nested = {
                "gather": self.gather,
                "shield": lambda: f"asyncio.shield({self.awaitable()})",
                "wait_for": lambda: f"asyncio.wait_for({self.awaitable()}, {self.timeout()})",
                "wait": self.wait,
            }
            found += [make for feature, make in nested.items() if feature in self.features]
        return found

    def several(self, least=0):
        return [self.awaitable() for _ in range(least + self.choose(4 - least))]

    def gather(self):
        parts = self.several()
        if self.rarely(3):
            parts.append("return_exceptions=True")
        return f"asyncio.gather({', '.join(parts)})"

    def future_list(self):
        made = [f"asyncio.ensure_future({part})" for part in self.several(1)]
        return f"[{', '.join(made)}]"

    def wait(self):
        options = ""
        if self.choose(2):
            options += f", timeout={self.delay()}"
        if self.choose(2):
            options += f", return_when=asyncio.{self.pick(('FIRST_COMPLETED', 'FIRST_EXCEPTION'))}"
        return f"asyncio.wait({self.future_list()}{options})"

    # Statements

    def statement(self):
        plain = [self.sleep, self.wait_a_turn, self.await_something, self.cancel, self.spawn]
        plain += [self.look, self.set_variable]
        if self.depth < DEEPEST:
            plain += [self.try_except, self.try_except, self.try_finally, self.repeat]
        else:
            plain += [self.await_something]
        special = [
            getattr(self, f"use_{feature}")
            for feature in FEATURES
            if feature in self.features and hasattr(self, f"use_{feature}")
        ]
        if special and self.choose(5) > 1:
            return self.pick(special)()
        return self.pick(plain)()

    def sleep(self):
        self.put(f"await asyncio.sleep({self.delay()})")
        self.log('"slept"')

    def wait_a_turn(self):
        self.put(self.pick(("await asyncio.sleep(0)", "await yielding()")))

    def await_something(self):
        self.log(f"await {self.awaitable()}")

    def cancel(self):
        message = self.pick(("", '"stop"', "None"))
        verb = self.pick(("cancel", "cancel", "cancel", "uncancel"))
        target = "current()" if self.rarely(5) else self.some_task()
        self.attempt(f"{target}.{verb}({message if verb == 'cancel' else ''})")

    def spawn(self):
        name = f"c{self.label()}"
        if "mixed" in self.features and self.rarely(3):
            self.put(f"{name} = asyncio.Task({self.child()}, loop=loop)")
        else:
            child = self.child()
            make = self.pick(("asyncio.create_task", "loop.create_task", "asyncio.ensure_future"))
            self.put(f"{name} = {make}({child})")
        self.children.append(name)

    def end(self):
        kind = self.choose(4)
        if kind == 0:
            self.put(f"return {self.label()}")
        elif kind == 3 and "mixed" in self.features and self.rarely(4):
            self.put(f"raise {self.pick(('SystemExit', 'KeyboardInterrupt'))}({self.label()})")
        else:
            self.put(f"raise {self.error()}")

    def look(self):
        target = self.some_task()
        looks = (
            f"{target}",
            f"{target}.cancelling()",
            f"repr({target})",
            f"{target}.cancelled()",
        )
        self.log(self.pick(looks))
        if self.rarely(4):
            self.attempt(f"{target}.{self.pick(('result', 'exception'))}()")

    def set_variable(self):
        self.put(f"variable.set({self.label()})")

    def try_except(self):
        with self.inside("try:"):
            self.body()
        caught = CAUGHT_ALL if self.choose(2) else self.pick(CAUGHT)
        with self.inside(f"except {caught} as error:"):
            self.log("error")
            ending = self.choose(6)
            if ending == 1:
                self.put("raise")
            elif ending == 2:
                self.put(f"raise {self.error()}{self.pick(('', ' from error', ' from None'))}")
            elif ending == 3:
                self.attempt("current().uncancel()")
            elif ending > 3:
                self.body()

    def try_finally(self):
        with self.inside("try:"):
            self.body()
        with self.inside("finally:"):
            self.log('"finally"')
            self.body()

    def repeat(self):
        with self.inside(f"for _ in range({self.choose(2) + 1}):"):
            self.body()

    # One for each feature

    def use_futures(self):
        future = self.future()
        calls = (
            f"{future}.set_result({self.label()})",
            f"{future}.cancel()",
            f"{future}.set_exception({self.error()})",
        )
        if self.choose(3):
            self.attempt(self.pick(calls))
        elif self.rarely(4):
            self.put(f"{future}.add_done_callback(lambda done: log({self.label()}, done))")
        else:
            self.log(f"await {future}")

    def use_locks(self):
        lock = self.lock()
        kind = self.choose(4)
        if kind < 2:
            with self.inside(f"async with {lock}:"):
                self.log(f'"has {lock}"')
                self.body()
        elif kind == 2:
            self.log(f"await {lock}.acquire()")
        else:
            self.attempt(f"{lock}.{self.pick(('release', 'locked'))}()")

    def use_events(self):
        event = self.event()
        kind = self.choose(3)
        if kind == 0:
            self.log(f"await {event}.wait()")
        else:
            self.attempt(f"{event}.{self.pick(('set', 'set', 'set', 'clear', 'is_set'))}()")

    def use_semaphores(self):
        semaphore = self.semaphore()
        kind = self.choose(4)
        if kind < 2:
            with self.inside(f"async with {semaphore}:"):
                self.log(f'"has {semaphore}"')
                self.body()
        elif kind == 2:
            self.log(f"await {semaphore}.acquire()")
        else:
            self.attempt(f"{semaphore}.{self.pick(('release', 'locked'))}()")

    def use_queues(self):
        queue = self.queue()
        kind = self.choose(6)
        put = f"put_nowait({self.label()})"
        calls = ["get_nowait()", put, "task_done()", put, "task_done()", "qsize()"]
        if sys.version_info >= (3, 13):
            calls.append(f"shutdown({self.pick(('', 'immediate=True'))})")
        if kind < 1:
            self.log(f"await {queue}.get()")
        elif kind < 3:
            self.put(f"await {queue}.put({self.label()})")
            self.log(f'"put in {queue}"')
        elif kind < 5:
            self.attempt(f"{queue}.{self.pick(calls)}")
        else:
            self.log(f"await {queue}.join()")

    def use_conditions(self):
        condition = self.condition()
        kind = self.choose(6)
        if kind < 2:
            with self.inside(f"async with {condition}:"):
                self.log(f"await {condition}.wait()")
                self.body()
        elif kind < 4:
            with self.inside(f"async with {condition}:"):
                self.attempt(f"{condition}.{self.pick(('notify()', 'notify_all()', 'notify(2)'))}")
                self.body()
        elif kind == 4:
            with self.inside(f"async with {condition}:"):
                self.put(
                    f"await {condition}.wait_for(lambda: checked({self.label()}, {self.truth()}))"
                )
                self.log('"came true"')
        else:
            self.attempt(f"{condition}.{self.pick(('notify()', 'release()', 'locked()'))}")

    def truth(self):
        others = ["variable.get()"]
        if "events" in self.features:
            others.append(f"{self.event()}.is_set()")
        if "futures" in self.features:
            others.append(f"{self.future()}.done()")
        others.append(f"raising({self.error()})")
        return self.pick(others)

    def use_barriers(self):
        barrier = self.barrier()
        kind = self.choose(5)
        if kind < 2:
            self.log(f"await {barrier}.wait()")
        elif kind == 2:
            with self.inside(f"async with {barrier} as place:"):
                self.log("place")
                self.body()
        elif kind == 3:
            self.put(f"await {barrier}.{self.pick(('reset', 'abort'))}()")
        else:
            self.log(f"{barrier}.n_waiting, {barrier}.broken")

    def use_gather(self):
        self.log(f"await {self.gather()}")

    def use_shield(self):
        self.log(f"await asyncio.shield({self.awaitable()})")

    def use_timeouts(self):
        if self.limits and self.choose(2):
            limit = self.pick(self.limits)
            when = self.pick(("loop.time()", "loop.time() + 1000", "None", "0"))
            if self.rarely(3):
                self.log(f"{limit}.expired()")
            elif self.clock == "virtual" and self.choose(2):
                self.attempt(f"{limit}.reschedule(loop.time() + {self.delay()})")
            else:
                self.put(f"attempt({self.label()}, lambda: {limit}.reschedule({when}))")
            return
        name = f"limit{self.label()}"
        make = f"timeout({self.timeout()})"
        if self.clock == "virtual" and self.rarely(3):
            make = f"timeout_at(loop.time() + {self.delay()})"
        with self.inside(f"async with asyncio.{make} as {name}:"):
            self.limits.append(name)
            self.body()

    def use_wait_for(self):
        self.log(f"await asyncio.wait_for({self.awaitable()}, {self.timeout()})")

    def use_groups(self):
        name = f"group{self.label()}"
        with self.inside(f"async with asyncio.TaskGroup() as {name}:"):
            for _ in range(self.choose(4)):
                child = f"c{self.label()}"
                self.put(f"{child} = {name}.create_task({self.child()})")
                self.children.append(child)
            self.body()

    def use_wait(self):
        self.log(f"await {self.wait()}")

    def use_as_completed(self):
        timeout = f", timeout={self.timeout()}" if self.rarely(3) else ""
        forms = ("asyncio.create_task({})", "{}")
        parts = [self.pick(forms).format(self.child()) for _ in range(1 + self.choose(3))]
        if self.choose(2):
            parts.append(f"*{self.future_list()}")
        call = f"asyncio.as_completed([{', '.join(parts)}]{timeout})"
        word = "async for" if sys.version_info >= (3, 13) and self.choose(2) else "for"
        with self.inside(f"{word} part in {call}:"):
            self.log("await part")
            if self.rarely(3):
                self.body()

    def use_callbacks(self):
        kind = self.choose(4)
        action = self.action()
        if kind == 0:
            self.put(f"loop.call_soon({action})")
        elif kind == 1:
            self.put(f"loop.call_later({self.delay()}, {action})")
        elif kind == 2:
            when = "loop.time()" if self.clock == "virtual" else "0"
            self.put(f"handle = loop.call_at({when} + {self.choose(3)}, {action})")
            if self.rarely(3):
                self.put("await asyncio.sleep(0)")
                self.put("handle.cancel()")
        else:
            self.put(
                f"{self.some_task()}.add_done_callback(lambda done: log({self.label()}, done))"
            )

    def action(self):
        """A callback with its arguments."""
        label = self.label()
        calls = [f"log, {label}", f"raising, {self.error()}", f"{self.some_task()}.cancel"]
        if "futures" in self.features:
            calls.append(f"attempt, {label}, {self.future()}.set_result, {label}")
        if "events" in self.features:
            calls.append(f"{self.event()}.set")
        if "locks" in self.features:
            calls.append(f"attempt, {label}, {self.lock()}.release")
        if "queues" in self.features:
            calls.append(f"attempt, {label}, {self.queue()}.put_nowait, {label}")
        if "streams" in self.features:
            calls += self.stream_actions(label)
        return self.pick(calls)
