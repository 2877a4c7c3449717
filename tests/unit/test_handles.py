"""Handle and TimerHandle: attributes, states, texts, comparison, weak references."""

import asyncio
import contextvars
import functools
import gc
import weakref

import pytest


def callback(*args):
    """A named callback for the texts."""


def test_a_handle_shows_what_it_was_made_of(loop, handle_class):
    context = contextvars.copy_context()
    handle = handle_class(callback, (1, 2), loop, context)
    assert handle._callback is callback
    assert handle._args == (1, 2)
    assert handle._loop is loop
    assert handle._context is context
    assert handle._cancelled is False
    assert handle._source_traceback is None
    assert handle._repr is None
    assert handle.cancelled() is False


def test_a_handle_from_call_soon_shows_the_same(loop):
    context = contextvars.copy_context()
    handle = loop.call_soon(callback, 1, 2, context=context)
    assert handle._callback is callback
    assert tuple(handle._args) == (1, 2)
    assert handle._loop is loop
    assert handle._context is context
    assert handle._cancelled is False
    assert handle._source_traceback is None


def test_a_handle_without_a_context_copies_the_current_one(loop, handle_class):
    var = contextvars.ContextVar("var")
    var.set("now")
    handle = handle_class(callback, (), loop)
    assert handle._context[var] == "now"
    assert handle_class(callback, (), loop, context=None)._context[var] == "now"


def test_a_timer_handle_shows_its_time(loop, timer_handle_class):
    handle = timer_handle_class(12.5, callback, (1,), loop)
    assert handle._when == 12.5
    assert handle.when() == 12.5
    assert handle._scheduled is False
    assert handle._callback is callback
    assert handle._args == (1,)


def test_a_timer_is_scheduled_until_it_has_fired(loop, turns):
    handle = loop.call_at(0.0, callback)
    assert handle._scheduled is True
    turns()
    assert handle._scheduled is False


def test_get_context_exists_where_stock_has_it(loop):
    handle = loop.call_soon(callback)
    timer = loop.call_later(1, callback)
    assert hasattr(handle, "get_context") == hasattr(asyncio.Handle, "get_context")
    if hasattr(handle, "get_context"):
        assert handle.get_context() is handle._context
        assert timer.get_context() is timer._context
    timer.cancel()


def test_cancel_drops_the_callback_and_the_arguments(loop):
    for handle in (loop.call_soon(callback, 1), loop.call_later(1, callback, 1)):
        context = handle._context
        assert handle.cancel() is None
        assert handle.cancelled() is True
        assert handle._cancelled is True
        assert handle._callback is None
        assert handle._args is None
        assert handle._context is context
        assert handle.cancel() is None


def test_run_calls_the_callback_in_the_context(loop, handle_class):
    var = contextvars.ContextVar("var")
    context = contextvars.Context()
    handle_class(var.set, ("inside",), loop, context)._run()
    assert context[var] == "inside"


def test_run_reports_an_error_of_the_callback(loop, handle_class, reported):
    handle = handle_class(lambda: 1 / 0, (), loop)
    assert handle._run() is None
    assert reported[0]["handle"] is handle
    assert isinstance(reported[0]["exception"], ZeroDivisionError)


class Named:
    def __call__(self):
        pass

    def method(self):
        pass

    def __repr__(self):
        return "<named>"


CALLBACKS = {
    "function": (callback, ()),
    "function with arguments": (callback, (1, "two", None)),
    "lambda": (lambda: None, ()),
    "builtin": (print, ("x",)),
    "bound method": (Named().method, (3,)),
    "partial": (functools.partial(callback, 1, key="value"), (2,)),
    "nested partial": (functools.partial(functools.partial(callback, 1), 2), ()),
    "callable object": (Named(), ()),
    "class": (Named, ()),
    "long argument": (callback, ("x" * 300, list(range(100)))),
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("call", CALLBACKS.values(), ids=CALLBACKS)
def test_the_repr_is_the_one_of_stock_in_every_state(same_as_stock, call, debug):
    function, args = call

    def scenario(loop, engine):
        loop.set_debug(debug)
        seen = []
        handles = [
            loop.call_soon(function, *args),
            loop.call_at(2.5, function, *args),
            loop.call_at(10, function, *args),
            engine.handle_class(function, args, loop),
            engine.timer_handle_class(7, function, args, loop),
        ]
        seen += [repr(handle) for handle in handles]
        for handle in handles:
            handle.cancel()
        return seen + [repr(handle) for handle in handles]

    outcome = same_as_stock(scenario)
    assert outcome[0] == "returned"
    assert outcome[1][0].startswith("<Handle ")
    assert outcome[1][1].startswith("<TimerHandle when=2.5 ")
    assert outcome[1][5].startswith("<Handle cancelled")


def test_the_repr_of_a_callback_that_runs_is_the_one_of_stock(same_as_stock):
    def scenario(loop, engine):
        seen = []
        handles = []
        handles.append(loop.call_soon(lambda: seen.append(repr(handles[0]))))
        loop.stop()
        loop.run_forever()
        return [*seen, repr(handles[0])]

    same_as_stock(scenario)


def test_debug_mode_records_where_a_handle_was_made(loop):
    loop.set_debug(True)
    for handle in (
        loop.call_soon(callback),
        loop.call_later(1, callback),
        loop.call_at(1, callback),
    ):
        frame = handle._source_traceback[-1]
        assert frame.filename == __file__
        assert frame.name == "test_debug_mode_records_where_a_handle_was_made"
        assert f" created at {__file__}:{frame.lineno}" in repr(handle)
        handle.cancel()


def test_debug_mode_keeps_the_text_of_a_cancelled_handle(loop):
    loop.set_debug(True)
    handle = loop.call_soon(callback, "argument")
    handle.cancel()
    assert "argument" in repr(handle)
    assert handle._repr == repr(handle)


def test_a_subclass_changes_the_repr(loop, handle_class, timer_handle_class):
    class Mine(handle_class):
        pass

    class MineTimed(timer_handle_class):
        def _repr_info(self):
            return [*super()._repr_info(), "extra"]

    assert repr(Mine(callback, (), loop)).startswith("<Mine ")
    assert repr(MineTimed(1, callback, (), loop)).startswith("<MineTimed when=1 ")
    assert repr(MineTimed(1, callback, (), loop)).endswith(" extra>")


def test_handles_can_be_weakly_referenced(loop, turns):
    soon = weakref.ref(loop.call_soon(callback))
    later = weakref.ref(loop.call_at(0.0, callback))
    cancelled = weakref.ref(loop.call_later(1000, callback))
    assert isinstance(soon(), asyncio.Handle)
    assert isinstance(later(), asyncio.TimerHandle)
    cancelled().cancel()
    turns(2)
    gc.collect()
    assert soon() is None
    assert later() is None


@pytest.mark.parametrize("kind", ["soon", "threadsafe", "timer"])
def test_a_handle_that_somebody_holds_is_not_used_again(loop, turns, kind):
    call = {
        "soon": lambda *call: loop.call_soon(*call),
        "threadsafe": lambda *call: loop.call_soon_threadsafe(*call),
        "timer": lambda *call: loop.call_at(0.0, *call),
    }[kind]
    ran = []
    held = call(ran.append, "held")
    call(ran.append, "not held")
    turns(2)
    others = [call(ran.append, number) for number in range(3)]
    assert all(other is not held for other in others)
    assert held._args == ("held",)
    held.cancel()
    turns(2)
    others = None
    for number in range(3):
        call(ran.append, number)
    turns(2)
    assert sorted(map(str, ran)) == ["0", "0", "1", "1", "2", "2", "held", "not held"]
    assert held.cancelled()


def test_a_handle_that_was_changed_while_it_ran_does_not_pass_that_on(loop, turns):
    """Cancelled, named, given a traceback or a time: what the next call gets is a new handle's."""
    changes = [
        lambda handle: handle.cancel(),
        lambda handle: setattr(handle, "_repr", "mine"),
        lambda handle: setattr(handle, "_source_traceback", ["mine"]),
        lambda handle: setattr(handle, "_context", None),
        lambda handle: setattr(handle, "_loop", None),
    ]
    timer_changes = [lambda timer: setattr(timer, "_when", 5), lambda timer: timer.cancel()]

    def change(how, handles):
        how(handles.pop())

    for how in changes:
        handles = []
        handles.append(loop.call_soon(change, how, handles))
        turns(1)
    for how in timer_changes + changes:
        handles = []
        handles.append(loop.call_at(0.0, change, how, handles))
        turns(1)
    ran = []
    plain = repr(asyncio.Handle(callback, (), loop))
    for _ in range(20):
        loop.call_soon(ran.append, loop.call_at(1.0, ran.append, None))
        assert repr(loop.call_soon(callback)) == plain
        later = loop.call_at(1e9, callback)
        assert (later._when, later._source_traceback, later._loop) == (1e9, None, loop)
        assert not later.cancelled()
        later.cancel()
    turns(2)
    assert len(ran) == 40


def test_a_handle_that_refers_to_itself_is_collected(loop):
    handle = loop.call_soon(callback)
    handle.cancel()
    loop.stop()
    loop.run_forever()
    holder = []
    handle = loop.call_soon(holder.append, 1)
    holder.append(handle)
    dead = weakref.ref(handle)
    loop.stop()
    loop.run_forever()
    holder.clear()
    del handle
    gc.collect()
    assert dead() is None


def test_timer_handles_compare_by_time(loop, timer_handle_class):
    early = timer_handle_class(1.0, callback, (), loop)
    same = timer_handle_class(1.0, callback, (), loop)
    late = timer_handle_class(2.0, callback, (), loop)
    assert early < late and early <= late and late > early and late >= early
    assert not early > late and not late < early
    assert early == same and early <= same and early >= same
    assert not early < same and not early > same
    assert early != late


def test_timer_handles_are_equal_only_if_all_parts_are(loop, timer_handle_class):
    handle = timer_handle_class(1.0, callback, (1,), loop)
    assert handle != timer_handle_class(1.0, callback, (2,), loop)
    assert handle != timer_handle_class(1.0, print, (1,), loop)
    twin = timer_handle_class(1.0, callback, (1,), loop)
    assert handle == twin
    twin.cancel()
    assert handle != twin
    handle.cancel()
    assert handle == twin
    assert not handle <= timer_handle_class(1.0, print, (1,), loop)


def test_timer_handles_hash_by_time(loop, timer_handle_class):
    for when in (1.0, 7, -3.5):
        assert hash(timer_handle_class(when, callback, (), loop)) == hash(when)


def test_timer_handles_do_not_compare_with_other_things(loop, timer_handle_class):
    handle = timer_handle_class(1.0, callback, (), loop)
    assert handle != 1.0
    assert not handle == asyncio.Handle(callback, (), loop)
    for operation in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        assert getattr(handle, operation)(1.0) is NotImplemented
    with pytest.raises(TypeError):
        handle < 1.0
    with pytest.raises(TypeError):
        handle >= object()


def test_timer_handles_compare_with_stock_ones(loop, timer_handle_class):
    mine = timer_handle_class(1.0, callback, (), loop)
    stock = asyncio.TimerHandle(2.0, callback, (), loop)
    assert mine < stock and stock > mine and mine != stock
    assert mine == asyncio.TimerHandle(1.0, callback, (), loop)


@pytest.mark.parametrize("args", [(), (callback,), (callback, ()), (callback, (), None)])
def test_a_handle_made_wrongly_gives_the_stock_error(same_as_stock, args):
    outcome = same_as_stock(lambda loop, engine: type(engine.handle_class(*args)).__name__)
    assert outcome[0] == "raised"


def test_foreign_attributes_are_refused_as_stock_refuses_them(same_as_stock):
    def scenario(loop, engine):
        engine.handle_class(callback, (), loop).foreign = 1

    def timed(loop, engine):
        engine.timer_handle_class(1, callback, (), loop).foreign = 1

    assert same_as_stock(scenario)[1] is AttributeError
    assert same_as_stock(timed)[1] is AttributeError


def test_the_time_of_a_timer_handle_may_be_assigned(loop, timer_handle_class):
    handle = timer_handle_class(1.0, callback, (), loop)
    handle._when = 5.0
    assert handle.when() == 5.0
    assert hash(handle) == hash(5.0)
