"""`__aenter__` and `__aexit__` of native classes: seen from outside they are ordinary methods."""

import abc
import asyncio
import contextlib
import gc
import inspect
import types
import weakref

import pytest


@pytest.fixture(params=["Lock", "Semaphore", "BoundedSemaphore", "Condition"])
def lock(request, package):
    """A lock of any class."""
    return getattr(package, request.param)()


@pytest.fixture(params=["__aenter__", "__aexit__"])
def name(request):
    """The name of a method."""
    return request.param


def test_they_have_the_attributes_of_methods(lock, name):
    method = getattr(lock, name)
    assert callable(method)
    assert method.__name__ == name
    assert method.__self__ is lock
    assert isinstance(method, (types.MethodType, types.BuiltinMethodType))
    assert inspect.ismethod(method) or inspect.isbuiltin(method)
    assert repr(method).startswith(("<bound method", "<built-in method"))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = method.nothing


def test_two_of_one_object_are_equal(lock, name):
    other = type(lock)()
    method = getattr(lock, name)
    assert method == getattr(lock, name)
    assert hash(method) == hash(getattr(lock, name))
    assert method != getattr(other, name)
    assert method != lock.locked


def test_the_class_shows_them_as_well(lock):
    async def main():
        kind = type(lock)
        await kind.__aenter__(lock)
        assert lock.locked() or lock._value == 0
        await kind.__aexit__(lock, None, None, None)
        return lock.locked()

    assert asyncio.run(main()) is False


def test_they_can_be_called_by_hand(lock):
    async def main():
        enter, leave = lock.__aenter__, lock.__aexit__
        assert await enter() is None
        assert lock.locked()
        assert await leave(None, None, None) is None
        await enter()
        assert await leave(exc_type=None, exc=None, tb=None) is None
        return lock.locked()

    assert asyncio.run(main()) is False


def test_wrong_arguments_are_refused(lock):
    for call in (
        lambda: lock.__aenter__(1),
        lambda: lock.__aexit__(),
        lambda: lock.__aexit__(1, 2),
        lambda: lock.__aexit__(1, 2, 3, 4),
        lambda: lock.__aexit__(1, 2, surprise=3),
    ):
        with pytest.raises(TypeError):
            call()


def test_they_work_in_an_exit_stack(lock):
    async def main():
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(lock)
            assert lock.locked()
        return lock.locked()

    assert asyncio.run(main()) is False


def test_an_object_of_another_class_is_refused(lock, name):
    class Stranger:
        pass

    setattr(Stranger, name, inspect.getattr_static(type(lock), name))
    arguments = (None, None, None) if name == "__aexit__" else ()
    with pytest.raises((TypeError, AttributeError)):
        asyncio.run(getattr(Stranger(), name)(*arguments))


def test_a_cycle_through_one_is_collected(lock, name):
    other = type(lock)()
    other.method = getattr(other, name)
    reference = weakref.ref(other)
    del other
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    "name", ["Lock", "Event", "Queue", "TaskGroup", "Handle", "StreamReaderProtocol", "Future"]
)
def test_an_abstract_class_has_no_instances(package, name):
    """Those of stock that are written in C do not ask."""
    base = getattr(package, name)
    metaclass = type("Meta", (abc.ABCMeta, type(base)), {})

    class Channel(base, metaclass=metaclass):
        @abc.abstractmethod
        def encode(self, item): ...

    class Full(Channel):
        def encode(self, item): ...

    if name == "Future":
        assert isinstance(Channel.__new__(Channel), base)
        return
    with pytest.raises(TypeError, match="^Can't instantiate abstract class Channel with"):
        Channel()
    assert isinstance(Full.__new__(Full), base)
