"""getaddrinfo and getnameinfo as coroutine functions: whom they call, and how they refuse."""

import asyncio
import gc
import inspect
import logging
import re
import socket
import threading
import warnings
from asyncio import base_events
from types import SimpleNamespace
from unittest import mock

import pytest

INFOS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class Recorder:
    """Stands for a function of `socket`: notes its arguments and the thread it is called in."""

    def __init__(self, answer):
        self.answer = answer
        self.calls = []
        self.threads = set()

    def __call__(self, *args):
        self.calls.append(args)
        self.threads.add(threading.current_thread())
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("host", ["name.invalid", "127.0.0.1", "::1", None])
def test_a_patched_getaddrinfo_is_called_in_a_thread(loop, run, monkeypatch, host):
    patch = Recorder(INFOS)
    monkeypatch.setattr(socket, "getaddrinfo", patch)
    assert run(loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM, proto=6, flags=1)) is INFOS
    assert patch.calls == [(host, 80, 0, socket.SOCK_STREAM, 6, 1)]
    assert threading.current_thread() not in patch.threads


def test_a_patch_counts_from_the_next_call_on_and_until_it_is_undone(loop, run):
    before = run(loop.getaddrinfo("127.0.0.1", 80))
    for _ in range(2):
        with mock.patch("socket.getaddrinfo", return_value=INFOS) as patch:
            assert run(loop.getaddrinfo("127.0.0.1", 80)) is INFOS
        patch.assert_called_once_with("127.0.0.1", 80, 0, 0, 0, 0)
        assert run(loop.getaddrinfo("127.0.0.1", 80)) == before


def test_the_patch_counts_that_is_there_when_the_coroutine_begins(loop, run):
    coroutine = loop.getaddrinfo("127.0.0.1", 80)
    with mock.patch("socket.getaddrinfo", return_value=INFOS):
        assert run(coroutine) is INFOS


def test_a_patch_that_was_there_before_the_package_is_called(run_python):
    done = run_python("""
        import socket
        own = socket.getaddrinfo
        socket.getaddrinfo = lambda *args: ["the patch", args]
        loop = new_loop()
        print(loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80)))
        socket.getaddrinfo = own
        print(loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80)) == own("127.0.0.1", 80))
        loop.close()
    """)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "['the patch', ('127.0.0.1', 80, 0, 0, 0, 0)]\nTrue\n"


def test_the_module_that_asyncio_names_socket_is_asked(loop, run, monkeypatch):
    getaddrinfo, getnameinfo = Recorder(INFOS), Recorder(("a", "b"))
    module = SimpleNamespace(getaddrinfo=getaddrinfo, getnameinfo=getnameinfo)
    monkeypatch.setattr(base_events, "socket", module)
    assert run(loop.getaddrinfo("127.0.0.1", 80)) is INFOS
    assert run(loop.getnameinfo(("127.0.0.1", 80), NUMERIC)) == ("a", "b")
    assert getnameinfo.calls == [(("127.0.0.1", 80), NUMERIC)]


def test_a_patched_getnameinfo_is_called_in_a_thread(loop, run, monkeypatch):
    patch = Recorder(("host", "service"))
    monkeypatch.setattr(socket, "getnameinfo", patch)
    assert run(loop.getnameinfo(("127.0.0.1", 80), NUMERIC)) == ("host", "service")
    assert patch.calls == [(("127.0.0.1", 80), NUMERIC)]
    assert threading.current_thread() not in patch.threads


def test_a_patched_ipaddr_info_decides_about_numeric_addresses(loop, run, monkeypatch):
    patch = Recorder("the info")
    monkeypatch.setattr(base_events, "_ipaddr_info", patch)
    assert run(loop._ensure_resolved(("127.0.0.1", 80), loop=loop)) == ["the info"]
    assert patch.calls == [("127.0.0.1", 80, 0, socket.SOCK_STREAM, 0)]


def test_an_error_of_the_look_up_is_raised(loop, run, monkeypatch):
    error = socket.gaierror(socket.EAI_AGAIN, "later")
    monkeypatch.setattr(socket, "getaddrinfo", Recorder(error))
    with pytest.raises(socket.gaierror) as caught:
        run(loop.getaddrinfo("name.invalid", 80))
    assert caught.value is error


@pytest.mark.parametrize("name", ["getaddrinfo", "getnameinfo"])
def test_the_methods_are_coroutine_functions_with_stock_parameters(loop, name):
    method = getattr(loop, name)
    assert inspect.iscoroutinefunction(method)
    stock = inspect.signature(getattr(asyncio.BaseEventLoop, name)).parameters.values()
    parameters = list(inspect.signature(method).parameters.values())
    shape = [(p.name, p.kind, p.default) for p in parameters]
    assert shape == [(p.name, p.kind, p.default) for p in stock][1:]


@pytest.mark.parametrize(
    "arguments",
    [
        lambda loop: loop.getaddrinfo(),
        lambda loop: loop.getaddrinfo("127.0.0.1"),
        lambda loop: loop.getaddrinfo("127.0.0.1", 80, socket.AF_INET),
        lambda loop: loop.getaddrinfo("127.0.0.1", 80, kind=1),
        lambda loop: loop.getnameinfo(),
        lambda loop: loop.getnameinfo((), 0, 0),
    ],
)
def test_wrong_arguments_are_refused_when_the_method_is_called(loop, arguments):
    with pytest.raises(TypeError):
        arguments(loop)


def test_the_coroutine_is_one_to_everything_that_takes_coroutines(loop, run):
    expected = socket.getaddrinfo("127.0.0.1", 80)

    async def main():
        def coroutine():
            return loop.getaddrinfo("127.0.0.1", 80)

        closed = coroutine()
        assert inspect.iscoroutine(closed) and asyncio.iscoroutine(closed)
        closed.close()
        task = loop.create_task(coroutine(), name="look-up")
        assert task.get_coro().__name__ == "getaddrinfo"
        yield_of = await asyncio.gather(coroutine(), coroutine())
        return [*yield_of, await task, await asyncio.wait_for(coroutine(), 20)]

    assert run(main()) == [expected] * 4


def test_a_coroutine_that_is_never_awaited_warns(loop):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.getaddrinfo("127.0.0.1", 80)
        loop.getnameinfo(("127.0.0.1", 80))
        gc.collect()
    texts = [str(warning.message) for warning in caught]
    assert [re.sub(r"'\w+\.", "'", text) for text in texts] == [
        "coroutine 'getaddrinfo' was never awaited",
        "coroutine 'getnameinfo' was never awaited",
    ]


LOOK_UPS = [
    lambda loop: loop.getaddrinfo("127.0.0.1", 80),
    lambda loop: loop.getaddrinfo("localhost", 80),
    lambda loop: loop.getnameinfo(("127.0.0.1", 80), NUMERIC),
    lambda loop: loop.getnameinfo(("127.0.0.1", 80)),
]


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_loop_whose_executor_was_shut_down_refuses(same_as_stock, look_up):
    def scenario(loop, engine):
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.run_until_complete(look_up(loop))

    assert same_as_stock(scenario)[1:] == (RuntimeError, "Executor shutdown has been called")


@pytest.mark.parametrize("look_up", LOOK_UPS)
@pytest.mark.parametrize("shut_down", [False, True])
def test_a_closed_loop_refuses(same_as_stock, look_up, shut_down):
    def scenario(loop, engine):
        if shut_down:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        look_up(loop).send(None)

    assert same_as_stock(scenario)[1:] == (RuntimeError, "Event loop is closed")


@pytest.mark.parametrize("host", ["127.0.0.1", "name.invalid"])
@pytest.mark.parametrize("slow", [False, True])
def test_debug_mode_reports_each_look_up(loop, run, monkeypatch, caplog, host, slow):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: INFOS)
    loop.set_debug(True)
    loop.slow_callback_duration = 0 if slow else 1000
    caplog.set_level(logging.DEBUG, "asyncio")
    assert run(loop.getaddrinfo(host, "http", family=2, type=1, proto=6, flags=4)) is INFOS
    hints = f"{host}:'http', family=2, type=1, proto=6, flags=4"
    mine = [record for record in caplog.records if record.funcName == "_getaddrinfo_debug"]
    texts = [re.sub(r"\d+\.\d{3}ms", "0ms", record.getMessage()) for record in mine]
    assert texts == [
        f"Get address info {hints}",
        f"Getting address info {hints} took 0ms: {INFOS!r}",
    ]
    assert [record.levelno for record in mine] == [
        logging.DEBUG,
        logging.INFO if slow else logging.DEBUG,
    ]
    assert threading.main_thread().ident not in {record.thread for record in mine}


def test_debug_mode_reports_a_numeric_host_too(loop, run, caplog):
    loop.set_debug(True)
    caplog.set_level(logging.DEBUG, "asyncio")
    expected = socket.getaddrinfo("127.0.0.1", 80)
    assert run(loop.getaddrinfo("127.0.0.1", 80)) == expected
    assert "Get address info 127.0.0.1:80" in caplog.messages


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", None])
def test_an_audit_hook_sees_the_look_up_and_can_forbid_it(run_python, host):
    done = run_python(f"""
        import socket, sys
        forbid = False

        def hook(event, args):
            if event == "socket.getaddrinfo":
                print(event, args)
                if forbid:
                    raise PermissionError("forbidden")

        sys.addaudithook(hook)
        loop = new_loop()
        look_up = lambda: loop.run_until_complete(
            loop.getaddrinfo({host!r}, 80, family=2, type=socket.SOCK_STREAM, proto=6)
        )
        look_up() if {host!r} != "::1" else None
        forbid = True
        try:
            look_up()
        except PermissionError as exc:
            print(exc)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    """)
    assert (done.stderr, done.returncode) == ("", 0)
    event = f"socket.getaddrinfo {(host, 80, 2, 1, 6)}\n"
    assert done.stdout == event * (1 if host == "::1" else 2) + "forbidden\n"


def test_connecting_to_a_number_looks_nothing_up(loop, run, monkeypatch):
    patch = Recorder(AssertionError("nothing is to be looked up"))

    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            monkeypatch.setattr(socket, "getaddrinfo", patch)
            address = server.sockets[0].getsockname()
            transport, _ = await loop.create_connection(asyncio.Protocol, *address)
            transport.close()
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=address
            )
            transport.close()

    run(main())
    assert patch.calls == []


def test_connecting_to_a_name_uses_what_getaddrinfo_gives(loop, run, monkeypatch):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]
            patch = Recorder(infos)
            monkeypatch.setattr(socket, "getaddrinfo", patch)
            transport, _ = await loop.create_connection(asyncio.Protocol, "name.invalid", 7)
            assert transport.get_extra_info("peername") == address
            transport.close()
        assert patch.calls == [("name.invalid", 7, 0, socket.SOCK_STREAM, 0, 0)]

    run(main())


def test_an_overridden_run_in_executor_gets_the_look_up_of_a_name(loop, run, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", Recorder(INFOS))
    calls = []

    def run_in_executor(executor, function, *args):
        calls.append(args)
        future = loop.create_future()
        future.set_result(function(*args))
        return future

    loop.run_in_executor = run_in_executor
    assert run(loop.getaddrinfo("name.invalid", 80)) is INFOS
    assert calls == [("name.invalid", 80, 0, 0, 0, 0)]
    del loop.run_in_executor
