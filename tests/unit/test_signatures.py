"""What `inspect` and `unittest.mock` learn of native classes: the parameters of stock's."""

import _asyncio
import asyncio
import inspect
import socket
import types
import unittest.mock

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
    # Their defaults are functions of heapq.
    *("PriorityQueue._get", "PriorityQueue._put"),
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
            if isinstance(method, types.MethodDescriptorType):
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
        # From 3.13.3 on stock passes any other on to the task factory.
        found, wanted = found[:3], wanted[:3]
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
    assert ferrio.Queue.put.__doc__ == "Put an item into the queue; wait until it has room."
    assert ferrio.Queue.__doc__ == "A queue between tasks; see asyncio.Queue."
    assert ferrio.Lock.release.__doc__.startswith("Release")
