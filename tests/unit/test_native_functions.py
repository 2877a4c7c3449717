"""Native functions of the module: everything that programs do to asyncio's own functions."""

import asyncio
import inspect
import pickle
import unittest.mock

import pytest

import ferrio


@pytest.fixture(params=["asyncio", "ferrio"])
def sleep(request):
    """asyncio.sleep and the native one in its place."""
    if request.param == "asyncio":
        yield asyncio.sleep
        return
    ferrio.install()
    yield asyncio.sleep
    ferrio.uninstall()


def test_it_is_known_as_a_coroutine_function(sleep):
    assert inspect.iscoroutinefunction(sleep)
    assert (
        asyncio.coroutines._iscoroutinefunction(sleep)
        if hasattr(asyncio.coroutines, "_iscoroutinefunction")
        else asyncio.iscoroutinefunction(sleep)
    )


def test_a_patch_puts_an_async_mock_in_its_place(sleep):
    with unittest.mock.patch("asyncio.sleep") as mocked:
        assert isinstance(mocked, unittest.mock.AsyncMock)
        assert asyncio.sleep is mocked
    assert asyncio.sleep is sleep


def test_its_names_and_signature_are_those_of_stock(sleep):
    assert (sleep.__name__, sleep.__qualname__, sleep.__module__) == (
        "sleep",
        "sleep",
        "asyncio.tasks",
    )
    assert sleep.__doc__ == "Coroutine that completes after a given time (in seconds)."
    assert str(inspect.signature(sleep)) == "(delay, result=None)"
    assert repr(sleep).startswith("<function sleep at 0x")


def test_it_takes_attributes(sleep):
    sleep.marked = True
    assert sleep.marked
    del sleep.marked


def test_it_is_pickled_by_name(sleep):
    assert pickle.loads(pickle.dumps(sleep)) is sleep


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        ((), {}, r"sleep\(\) missing 1 required positional argument: 'delay'"),
        ((1, 2, 3), {}, r"sleep\(\) takes from 1 to 2 positional arguments but 3 were given"),
        ((1,), {"loop": 1}, r"sleep\(\) got an unexpected keyword argument 'loop'"),
    ],
)
def test_arguments_are_refused_in_the_words_of_stock(sleep, arguments, keywords, words):
    with pytest.raises(TypeError, match=f"^{words}$"):
        sleep(*arguments, **keywords)


def test_arguments_may_be_named(sleep, loop_factory):
    async def main():
        return await sleep(result="result", delay=0), await sleep(0, "result")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == ("result", "result")


def test_install_replaces_a_name_wherever_asyncio_holds_it():
    stock = asyncio.sleep, asyncio.Lock
    ferrio.install()
    try:
        assert asyncio.sleep is asyncio.tasks.sleep is ferrio.sleep
        assert asyncio.Lock is asyncio.locks.Lock is ferrio.Lock
        assert isinstance(asyncio.Condition()._lock, ferrio.Lock)
    finally:
        ferrio.uninstall()
    assert (asyncio.sleep, asyncio.Lock) == stock
    assert (asyncio.tasks.sleep, asyncio.locks.Lock) == stock


def test_uninstall_leaves_what_the_program_put_in_place_meanwhile():
    stock, mine = asyncio.sleep, object()
    ferrio.install()
    asyncio.sleep = mine
    ferrio.uninstall()
    try:
        assert asyncio.sleep is mine
        assert asyncio.tasks.sleep is stock
    finally:
        asyncio.sleep = stock


def test_a_handle_shows_no_place_of_a_bound_method_and_one_of_a_function(sleep):
    async def main():
        loop = asyncio.get_running_loop()
        shown = []
        for callback in (asyncio.Event().set, asyncio.create_task):
            handle = loop.call_soon(callback)
            shown.append(repr(handle))
            handle.cancel()
        return shown

    bound, function = asyncio.run(main())
    assert bound == "<Handle Event.set()>"
    assert function.startswith("<Handle create_task() at ")
