"""add_done_callback and remove_done_callback: order, contexts, changes while they are called."""

import asyncio
import contextvars
import gc
import weakref

import pytest

VAR = contextvars.ContextVar("var", default="unset")

FINISHERS = {
    "result": lambda future: future.set_result(None),
    "exception": lambda future: (future.set_exception(ValueError()), future.exception()),
    "cancel": lambda future: future.cancel(),
}


@pytest.mark.parametrize("finish", FINISHERS.values(), ids=FINISHERS)
def test_callbacks_run_in_order_in_the_next_turn(loop, turns, finish):
    future = loop.create_future()
    seen = []
    for number in range(20):
        future.add_done_callback(lambda f, number=number: seen.append((number, f is future)))
    finish(future)
    assert seen == []
    turns()
    assert seen == [(number, True) for number in range(20)]
    turns()
    assert len(seen) == 20


def test_callbacks_take_their_place_among_others_when_the_future_is_done(loop, turns):
    future = loop.create_future()
    seen = []
    future.add_done_callback(lambda _: seen.append("first done"))
    future.add_done_callback(lambda _: seen.append("second done"))
    loop.call_soon(seen.append, "before")
    future.set_result(None)
    loop.call_soon(seen.append, "after")
    turns()
    assert seen == ["before", "first done", "second done", "after"]


def test_a_callback_added_to_a_done_future_runs_in_the_next_turn(loop, turns):
    future = loop.create_future()
    future.set_result(None)
    seen = []
    assert future.add_done_callback(seen.append) is None
    assert seen == []
    turns()
    assert seen == [future]
    assert not future._callbacks


def test_the_same_callback_is_called_as_often_as_it_was_added(loop, turns):
    future = loop.create_future()
    seen = []
    for _ in range(3):
        future.add_done_callback(seen.append)
    future.set_result(None)
    turns()
    assert seen == [future] * 3


def test_remove_counts_what_it_removed(loop):
    def one(_):
        pass

    def two(_):
        pass

    future = loop.create_future()
    assert future.remove_done_callback(one) == 0
    future.add_done_callback(one)
    assert future.remove_done_callback(one) == 1
    assert future.remove_done_callback(one) == 0
    for callback in (one, two, one, two, two):
        future.add_done_callback(callback)
    assert future.remove_done_callback(two) == 3
    assert [callback for callback, _ in future._callbacks] == [one, one]
    assert future.remove_done_callback(one) == 2
    assert not future._callbacks


def test_remove_compares_with_equality(loop):
    class Equal:
        def __init__(self, value):
            self.value = value

        def __eq__(self, other):
            return isinstance(other, Equal) and self.value == other.value

        __hash__ = None

        def __call__(self, future):
            pass

    future = loop.create_future()
    for value in (1, 2, 1):
        future.add_done_callback(Equal(value))
    assert future.remove_done_callback(Equal(1)) == 2
    assert [callback.value for callback, _ in future._callbacks] == [2]


def test_remove_passes_on_an_error_of_the_comparison(loop):
    class Unequal:
        def __eq__(self, other):
            raise ZeroDivisionError("compared")

        def __call__(self, future):
            pass

    future = loop.create_future()
    future.add_done_callback(Unequal())
    future.add_done_callback(Unequal())
    with pytest.raises(ZeroDivisionError, match="^compared$"):
        future.remove_done_callback(Unequal())


def test_a_comparison_that_changes_the_callbacks_does_no_harm(loop, turns, reported):
    class Sly:
        changes_left = 3

        def __eq__(self, other):
            if Sly.changes_left:
                Sly.changes_left -= 1
                future.remove_done_callback(plain)
                future.add_done_callback(seen.append)
            return False

        __hash__ = None

        def __call__(self, future):
            seen.append("sly")

    def plain(future):
        seen.append("plain")

    seen = []
    future = loop.create_future()
    for callback in (plain, plain, Sly(), plain, Sly(), plain):
        future.add_done_callback(callback)
    future.remove_done_callback(Sly())
    assert future.remove_done_callback(plain) == 0
    assert future.remove_done_callback(len) == 0
    future.set_result(None)
    turns()
    assert "sly" in seen and "plain" not in seen
    assert reported == []


def test_removing_from_a_done_future_finds_nothing(loop):
    future = loop.create_future()
    future.add_done_callback(print)
    future.cancel()
    assert future.remove_done_callback(print) == 0
    loop.stop()


def test_a_callback_added_by_a_callback_runs_in_the_turn_after(loop, turns):
    future = loop.create_future()
    seen = []

    def first(_):
        seen.append("first")
        future.add_done_callback(lambda _: seen.append("third"))

    future.add_done_callback(first)
    future.add_done_callback(lambda _: seen.append("second"))
    future.set_result(None)
    turns()
    assert seen == ["first", "second"]
    turns()
    assert seen == ["first", "second", "third"]


def test_callbacks_run_in_the_context_they_were_added_in(loop, turns):
    future = loop.create_future()
    seen = []
    for value in ("one", "two"):
        token = VAR.set(value)
        future.add_done_callback(lambda _: seen.append(VAR.get()))
        VAR.reset(token)
    own = contextvars.Context()
    own.run(VAR.set, "own")
    future.add_done_callback(lambda _: seen.append(VAR.get()), context=own)
    future.set_result(None)
    turns()
    assert seen == ["one", "two", "own"]
    future.add_done_callback(lambda _: seen.append(VAR.get()), context=own)
    turns()
    assert seen[3:] == ["own"]


def test_the_callbacks_are_listed_with_their_contexts(loop):
    future = loop.create_future()
    assert not future._callbacks
    own = contextvars.Context()
    future.add_done_callback(print)
    future.add_done_callback(len, context=own)
    assert type(future._callbacks) is list
    (first, current), (second, given) = future._callbacks
    assert (first, second) == (print, len)
    assert type(current) is contextvars.Context
    assert given is own
    future.set_result(None)
    assert not future._callbacks
    loop.stop()


def test_an_error_in_a_callback_is_reported_and_the_others_run(loop, turns, reported):
    future = loop.create_future()
    seen = []
    future.add_done_callback(lambda _: seen.append(1))
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(lambda _: seen.append(2))
    future.set_result(None)
    turns()
    assert seen == [1, 2]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


def test_callbacks_go_through_call_soon_of_a_subclass(engine):
    plain = engine.new_loop()
    base = type(plain)
    plain.close()
    seen = []

    class Watching(base):
        def call_soon(self, callback, *args, context=None):
            seen.append((callback, args))
            return super().call_soon(callback, *args, context=context)

    loop = Watching()
    try:
        future = loop.create_future()
        future.add_done_callback(print)
        future.set_result(None)
        assert seen == [(print, (future,))]
        future.add_done_callback(len)
        assert seen[1:] == [(len, (future,))]
    finally:
        loop.close()


def test_callbacks_go_through_call_soon_of_a_foreign_loop(future_class):
    class ForeignLoop:
        def __init__(self):
            self.calls = []

        def get_debug(self):
            return False

        def call_soon(self, callback, *args, context=None):
            self.calls.append((callback, args, type(context)))

    foreign = ForeignLoop()
    future = future_class(loop=foreign)
    future.add_done_callback(print)
    future.add_done_callback(len)
    future.cancel()
    assert foreign.calls == [
        (print, (future,), contextvars.Context),
        (len, (future,), contextvars.Context),
    ]


def test_a_finished_future_lets_go_of_its_callbacks(loop, turns):
    class Holder:
        def __call__(self, future):
            pass

    callback = Holder()
    alive = weakref.ref(callback)
    future = loop.create_future()
    future.add_done_callback(callback)
    future.set_result(None)
    del callback
    turns()
    gc.collect()
    assert alive() is None


def test_setting_a_result_on_a_closed_loop_with_callbacks_is_refused(loop):
    future = loop.create_future()
    future.add_done_callback(print)
    loop.close()
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        future.set_result(None)
    assert future.done()
    lonely = asyncio.Future(loop=loop)
    lonely.set_result(1)
    assert lonely.result() == 1


class Callback:
    """Something to call that can be referred to weakly."""

    def __call__(self, future):
        raise AssertionError("the loop is closed")


def test_no_callback_is_left_when_a_closed_loop_refused_the_first(same_as_stock):
    def scenario(loop, _):
        future = loop.create_future()
        for _ in range(3):
            future.add_done_callback(Callback())
        loop.close()
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            future.set_result(None)
        return future.done(), future.result(), future._callbacks

    kind, seen = same_as_stock(scenario)
    assert (kind, seen[:2]) == ("returned", (True, None))


def test_a_callback_that_a_closed_loop_refuses_lives_as_long_as_the_error(same_as_stock):
    def scenario(loop, _):
        future = loop.create_future()
        callback = Callback()
        living = weakref.ref(callback)
        future.add_done_callback(callback)
        del callback
        loop.close()
        try:
            future.set_result(None)
        except RuntimeError as error:
            caught = error
        seen = [living() is not None, str(caught), caught.__cause__, caught.__context__]
        del caught
        # PyO3 gives up what it held of the error with the next call into native code.
        assert loop.is_closed()
        return [*seen, living() is None]

    expected = ("returned", [True, "Event loop is closed", None, None, True])
    assert same_as_stock(scenario) == expected
