"""What `inspect` and `unittest.mock` learn of native classes: the parameters of stock's."""

import _asyncio
import asyncio
import functools
import inspect
import socket
import types
import unittest.mock
import warnings
import weakref

import pytest

import ferrio
from ferrio import _ferrio

CLASSES = {
    getattr(ferrio, name): getattr(_asyncio, name, getattr(asyncio, name))
    for name in (
        *("Task", "Future", "Handle", "TimerHandle", "TaskGroup", "Timeout"),
        *("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"),
        *("Queue", "PriorityQueue", "LifoQueue"),
        *("StreamReader", "StreamWriter", "StreamReaderProtocol"),
    )
}
CLASSES |= {
    _ferrio.EventLoop: asyncio.SelectorEventLoop,
    _ferrio.SSLProtocol: asyncio.sslproto.SSLProtocol,
    _ferrio.SubprocessStreamProtocol: asyncio.subprocess.SubprocessStreamProtocol,
    _ferrio._SSLProtocolTransport: asyncio.sslproto._SSLProtocolTransport,
}
TRANSPORTS = (
    asyncio.selector_events._SelectorSocketTransport,
    asyncio.selector_events._SelectorDatagramTransport,
    asyncio.unix_events._UnixReadPipeTransport,
    asyncio.unix_events._UnixWritePipeTransport,
)


def subclasses(base):
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


BY_NAME = {stock.__name__: stock for stock in TRANSPORTS}
CLASSES |= {
    each: BY_NAME[each.__name__]
    for each in subclasses(asyncio.BaseTransport)
    if each.__module__ == "ferrio" and each.__name__ in BY_NAME
}

NOT_COMPARED = {
    # They pass on what they are given.
    *("EventLoop._make_ssl_transport", "EventLoop._start_serving"),
    # `exc` may be left out here, as on the writing end.
    "_UnixReadPipeTransport._close",
    # Stock's takes `exc` from 3.13 on, here each does.
    "SSLProtocol._abort",
}


def parameters(function, skipped=0):
    """Name, kind and default of each. The first of a native method is positional-only."""
    found = list(inspect.signature(function).parameters.values())[skipped:]
    return [(each.name, each.kind, each.default) for each in found]


def native_methods():
    for native, stock in CLASSES.items():
        for name, method in vars(native).items():
            wanted = getattr(stock, name, None)
            title = f"{native.__name__}.{name}"
            if title in NOT_COMPARED or wanted is None:
                continue
            if isinstance(method, types.MethodDescriptorType | type(ferrio.sleep)):
                yield pytest.param(method, wanted, id=title)


def test_the_native_transports_are_among_them():
    assert {*TRANSPORTS} <= {*CLASSES.values()}


@pytest.mark.parametrize(("method", "stock"), [*native_methods()])
def test_a_method_has_the_parameters_of_stock(method, stock):
    found = parameters(method, 1)
    try:
        wanted = parameters(stock, 1)
    except ValueError:
        # Stock's `context` has no default that could be written down.
        assert method.__name__ == "add_done_callback"
        return
    if method.__qualname__ == "EventLoop.create_task":
        # From 3.13.3 on stock passes what it does not name on to the task factory.
        named = [name for name, *_ in wanted if name != "kwargs"]
        found, wanted = found[: len(named)], wanted[: len(named)]
    assert found == wanted


@pytest.mark.parametrize("native", CLASSES, ids=lambda native: native.__name__)
def test_a_class_is_called_with_the_parameters_of_stock(native):
    if native in vars(ferrio).values():
        assert parameters(native) == parameters(CLASSES[native])


def test_a_subclass_without_its_own_init_has_those_of_its_base():
    class Jobs(ferrio.Queue):
        pass

    assert str(inspect.signature(Jobs)) == "(maxsize=0)"
    assert Jobs(3).maxsize == 3


@pytest.mark.parametrize("package", [asyncio, ferrio])
def test_a_mock_takes_a_class_as_its_specification(package):
    queue = unittest.mock.create_autospec(package.Queue)(maxsize=1)
    queue.put_nowait(item="item")
    queue.put_nowait.assert_called_once_with(item="item")


def test_a_transport_takes_its_arguments_by_name(loop, run):
    near, far = socket.socketpair()
    protocol = asyncio.Protocol()
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        transport.write(data=b"a")
        transport.writelines(list_of_data=[b"b", b"c"])
        transport.set_protocol(protocol=protocol)
        assert transport.get_protocol() is protocol
        assert far.recv(10) == b"abc"
        for method in (transport.write, transport.writelines, transport.set_protocol):
            with pytest.raises(TypeError, match="missing 1 required positional argument"):
                method()
            with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
                method(other=b"x")
        transport.abort()
        run(asyncio.sleep(0))


def test_the_text_of_a_method_does_not_show_its_parameters_twice():
    assert ferrio.Task.set_name.__doc__ == "Set the name, as str(value)."
    assert ferrio.Queue.__doc__ == "A queue between tasks; see asyncio.Queue."
    assert ferrio.Queue.put_nowait.__doc__ == ferrio.Queue.put_nowait.__wrapped__.__doc__


@pytest.mark.parametrize(
    "name",
    [
        "Queue.put_nowait",
        "Event.set",
        "Lock.release",
        "BoundedSemaphore.release",
        "LifoQueue._put",
    ],
)
def test_any_method_is_bound_as_a_function_is(name):
    class_name, name = name.split(".")
    for package in (asyncio, ferrio):
        owner = getattr(package, class_name)()
        method = getattr(owner, name)
        assert inspect.ismethod(method)
        assert not inspect.iscoroutinefunction(method)
        assert repr(method) == f"<bound method {class_name}.{name} of {owner!r}>"
        assert weakref.WeakMethod(method)() == method
        with pytest.raises(TypeError) as caught:
            method(1, 2, 3)
        taken = len(inspect.signature(method).parameters) + 1
        assert f"{name}() takes {taken} positional argument" in str(caught.value)
        assert "but 4 were given" in str(caught.value)


COROUTINE_METHODS = [
    *("Lock.acquire", "Lock.__aenter__", "Lock.__aexit__", "Semaphore.acquire", "Event.wait"),
    *("Condition.wait", "Condition.wait_for", "Condition.__aenter__", "Barrier.wait"),
    *("Queue.get", "Queue.put", "Queue.join", "PriorityQueue.get", "TaskGroup.__aexit__"),
    *("StreamReader.read", "StreamReader.readline", "StreamReader.readexactly"),
    *("StreamReader.readuntil", "StreamWriter.drain", "StreamWriter.wait_closed"),
    *("EventLoop.sock_recv", "EventLoop.sock_sendall", "EventLoop.sock_connect"),
    *("EventLoop.sock_accept", "EventLoop.sock_sendfile", "EventLoop.create_connection"),
]


@pytest.mark.parametrize("name", COROUTINE_METHODS)
def test_a_coroutine_method_is_known_as_one(name):
    class_name, name = name.split(".")
    native = getattr(ferrio, class_name)
    stock = getattr(asyncio, class_name.replace("EventLoop", "SelectorEventLoop"))
    method = getattr(native, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for known in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction):
            assert known(getattr(stock, name))
            assert known(method)
            assert known(functools.partial(method, None))
    assert parameters(method) == parameters(getattr(stock, name))
    assert method.__qualname__ == getattr(stock, name).__qualname__
    assert not inspect.iscoroutinefunction(getattr(native, "put_nowait", native))


@pytest.mark.parametrize("package", [asyncio, ferrio])
def test_a_coroutine_method_is_bound_as_a_function_is(package):
    queue, other = package.Queue(), package.Queue()
    assert inspect.ismethod(queue.get)
    assert inspect.iscoroutinefunction(queue.get)
    assert queue.get.__self__ is queue
    assert queue.get.__func__ is package.Queue.get
    assert queue.get == queue.get != other.get
    assert hash(queue.get) == hash(queue.get)
    assert repr(queue.get) == f"<bound method Queue.get of {queue!r}>"
    assert repr(package.Queue.get).startswith("<function Queue.get at 0x")
    assert package.Queue.__dict__["get"].__get__(None, package.Queue) is package.Queue.get


def test_a_coroutine_method_of_an_object_of_another_class_raises():
    with pytest.raises(TypeError, match="for 'Queue' objects doesn't apply to a 'int' object"):
        ferrio.Queue.get(5)
    with pytest.raises(TypeError, match="for 'Queue' objects doesn't apply to a 'Lock' object"):
        ferrio.Queue.put(ferrio.Lock(), "item")
    for method in (ferrio.Queue.get, ferrio.Queue.put):
        with pytest.raises(TypeError, match="needs an argument"):
            method()


@pytest.mark.parametrize("package", [asyncio, ferrio])
def test_mocks_of_a_class_have_coroutine_methods_where_it_has(package):
    reader = unittest.mock.MagicMock(spec=package.StreamReader)
    writer = unittest.mock.create_autospec(package.StreamWriter, instance=True)
    assert isinstance(reader.readline, unittest.mock.AsyncMock)
    assert not isinstance(reader.at_eof, unittest.mock.AsyncMock)
    assert not isinstance(writer.write, unittest.mock.AsyncMock)
    reader.readline.return_value = b"line"

    async def main():
        await writer.drain()
        return await reader.readline()

    assert asyncio.run(main()) == b"line"
    writer.drain.assert_awaited_once_with()
    queue = package.Queue()
    with unittest.mock.patch.object(queue, "get") as get:
        assert isinstance(get, unittest.mock.AsyncMock)
    with unittest.mock.patch.object(package.Queue, "join") as join:
        assert isinstance(join, unittest.mock.AsyncMock)


@pytest.mark.parametrize("name", ["sleep", "wait_for", "timeout", "gather", "Queue.get"])
def test_the_annotations_of_a_function(name):
    native, stock = (functools.reduce(getattr, name.split("."), of) for of in (ferrio, asyncio))
    assert native.__annotations__ == stock.__annotations__
    assert inspect.get_annotations(native) == inspect.get_annotations(stock)
