"""call_soon: order, arguments, contexts and what becomes of the handle."""

import asyncio
import contextvars
import functools
import gc
import weakref

import pytest

VAR = contextvars.ContextVar("var", default="unset")


def test_callbacks_run_in_the_order_they_were_scheduled(loop, turns):
    seen = []
    for number in range(10_000):
        loop.call_soon(seen.append, number)
    turns()
    assert seen == list(range(10_000))


def test_a_callback_gets_all_its_arguments(loop, turns):
    seen = []
    loop.call_soon(lambda *args: seen.append(args))
    loop.call_soon(lambda *args: seen.append(args), 1)
    loop.call_soon(lambda *args: seen.append(args), 1, "two", None, [4], 5.0, {}, ())
    turns()
    assert seen == [(), (1,), (1, "two", None, [4], 5.0, {}, ())]


def test_a_callback_scheduled_by_a_callback_runs_in_the_next_turn(loop, turns):
    seen = []

    def first():
        seen.append("first")
        loop.call_soon(seen.append, "third")

    loop.call_soon(first)
    loop.call_soon(seen.append, "second")
    turns()
    assert seen == ["first", "second"]
    turns()
    assert seen == ["first", "second", "third"]


def test_an_endless_chain_of_callbacks_runs_one_link_a_turn(loop, turns):
    count = 0

    def link():
        nonlocal count
        count += 1
        loop.call_soon(link)

    loop.call_soon(link)
    for expected in range(1, 50):
        turns()
        assert count == expected


def test_a_scheduled_callback_is_not_run_at_once(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    assert seen == []


def test_call_soon_returns_a_handle_and_no_timer_handle(loop, handle_class):
    handle = loop.call_soon(print)
    assert isinstance(handle, asyncio.Handle)
    assert type(handle) is handle_class
    assert not isinstance(handle, asyncio.TimerHandle)
    handle.cancel()


def test_a_cancelled_callback_is_not_run(loop, turns):
    seen = []
    handles = [loop.call_soon(seen.append, number) for number in range(6)]
    for handle in handles[::2]:
        handle.cancel()
    turns()
    assert seen == [1, 3, 5]


def test_a_callback_cancels_a_later_one_of_its_own_batch(loop, turns):
    seen = []
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(seen.append, "cancelled"))
    loop.call_soon(seen.append, "kept")
    turns()
    assert seen == ["kept"]


def test_a_callback_cancels_its_own_handle_while_it_runs(loop, turns, reported):
    seen = []
    handles = []

    def callback():
        handles[0].cancel()
        seen.append(handles[0].cancelled())

    handles.append(loop.call_soon(callback))
    turns()
    assert seen == [True]
    assert reported == []


def test_cancelling_a_handle_that_has_run_changes_nothing(loop, turns):
    seen = []
    handle = loop.call_soon(seen.append, 1)
    turns()
    handle.cancel()
    turns()
    assert seen == [1]
    assert handle.cancelled()


def test_the_same_callback_may_be_scheduled_many_times(loop, turns):
    seen = []
    callback = functools.partial(seen.append, "x")
    for _ in range(5):
        loop.call_soon(callback)
    turns()
    assert seen == ["x"] * 5


class CallableObject:
    def __init__(self, seen):
        self.seen = seen

    def __call__(self, value):
        self.seen.append(value)

    def method(self, value):
        self.seen.append(value)

    @classmethod
    def class_method(cls, seen, value):
        seen.append(value)

    @staticmethod
    def static_method(seen, value):
        seen.append(value)


def test_every_kind_of_callable_is_called(loop, turns, reported):
    seen = []
    target = CallableObject(seen)
    loop.call_soon(target, 1)
    loop.call_soon(target.method, 2)
    loop.call_soon(CallableObject.class_method, seen, 3)
    loop.call_soon(CallableObject.static_method, seen, 4)
    loop.call_soon(functools.partial(seen.append, 5))
    loop.call_soon(list.append, seen, 6)
    loop.call_soon(seen.append, 7)
    loop.call_soon(lambda: seen.append(8))
    loop.call_soon(type)
    loop.call_soon(dict)
    turns()
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [str(context["exception"]) for context in reported] == ["type() takes 1 or 3 arguments"]


def test_callbacks_from_call_soon_threadsafe_keep_their_place_in_the_queue(loop, turns):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    loop.call_soon(seen.append, 3)
    loop.call_soon_threadsafe(seen.append, 4)
    turns()
    assert seen == [1, 2, 3, 4]


def test_the_context_of_the_caller_is_copied_when_the_callback_is_scheduled(loop, turns):
    seen = []
    token = VAR.set("scheduled")
    try:
        loop.call_soon(lambda: seen.append(VAR.get()))
        VAR.set("later")
        turns()
    finally:
        VAR.reset(token)
    assert seen == ["scheduled"]


def test_a_given_context_is_entered_and_keeps_what_the_callback_sets(loop, turns):
    context = contextvars.Context()
    seen = []

    def callback():
        seen.append(VAR.get())
        VAR.set("set inside")

    loop.call_soon(callback, context=context)
    turns()
    assert seen == ["unset"]
    assert context[VAR] == "set inside"
    assert VAR.get() == "unset"


def test_the_arguments_of_a_finished_callback_die_with_its_handle(loop, turns):
    class Argument:
        pass

    argument = Argument()
    alive = weakref.ref(argument)
    loop.call_soon(lambda _: None, argument)
    del argument
    assert alive() is not None
    turns()
    gc.collect()
    assert alive() is None


def test_a_cancelled_handle_releases_its_arguments_at_once(loop):
    class Argument:
        pass

    argument = Argument()
    alive = weakref.ref(argument)
    handle = loop.call_soon(lambda _: None, argument)
    del argument
    handle.cancel()
    assert alive() is None


def test_a_destructor_may_schedule_callbacks(loop, turns):
    seen = []

    class Chained:
        def __del__(self):
            loop.call_soon(seen.append, "from the destructor")

    loop.call_soon(lambda _: None, Chained())
    turns(2)
    assert seen == ["from the destructor"]


def test_the_running_loop_is_this_one_inside_a_callback(loop, turns):
    seen = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    turns()
    assert seen == [loop]


def test_the_return_value_of_a_callback_is_ignored(loop, turns, reported):
    for value in (None, 1, "text", Exception("returned, not raised"), NotImplemented):
        loop.call_soon(lambda value=value: value)
    turns()
    assert reported == []


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
@pytest.mark.parametrize(
    "arguments",
    [
        ((), {}),
        ((print,), {"kwarg": 1}),
        ((), {"callback": print, "x": 1}),
        ((), {"context": None}),
    ],
)
def test_wrong_arguments_give_the_stock_error(same_as_stock, method, arguments):
    args, kwargs = arguments

    def scenario(loop, engine):
        try:
            getattr(loop, method)(*args, **kwargs)
        except TypeError as exc:
            return type(exc).__name__
        return "no error"

    assert same_as_stock(scenario) == ("returned", "TypeError")


def test_the_callback_may_be_given_by_name(loop, turns):
    seen = []
    loop.call_soon(callback=lambda: seen.append(1))
    loop.call_soon(callback=lambda: seen.append(2), context=contextvars.Context())
    turns()
    assert seen == [1, 2]


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
def test_a_context_of_another_type_fails_when_the_callback_runs(same_as_stock, method):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(context["message"]))
        getattr(loop, method)(print, context="no context")
        loop.stop()
        loop.run_forever()
        return seen

    same_as_stock(scenario)
