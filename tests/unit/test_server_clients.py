"""How a Server counts its connections, and what a program may have replaced in that."""

import asyncio
import contextlib
import gc
import socket
import sys
import warnings
import weakref

import pytest

Server = asyncio.base_events.Server
COUNTED = ["_attach", "_detach"]
only_since_313 = pytest.mark.skipif(sys.version_info < (3, 13), reason="a number before 3.13")


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(change=lambda server: None):
    """A server, changed before its first connection, and a function that connects to it."""
    opened = []

    async def connect():
        client = socket.create_connection(server.sockets[0].getsockname())
        opened.append(client)
        await turns(4)
        return client

    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    change(server)
    try:
        yield server, connect
    finally:
        for client in opened:
            client.close()
        await turns(4)
        server.close()


class Thing:
    """What a weak reference can be made to."""


def noting(calls, name, real):
    def noted(*args):
        calls.append((name, len(args)))
        return real(*args)

    return noted


def on_the_instance(server, calls):
    for name in COUNTED:
        setattr(server, name, noting(calls, name, getattr(server, name)))


def by_a_subclass(server, calls):
    names = {name: noting(calls, name, getattr(Server, name)) for name in COUNTED}
    server.__class__ = type("Own", (Server,), names)


@pytest.mark.parametrize("change", [on_the_instance, by_a_subclass])
def test_replaced_methods_of_a_server_are_called(same_as_stock, change):
    def scenario(loop, _):
        calls = []

        async def main():
            async with serving(lambda server: change(server, calls)) as (_, connect):
                (await connect()).close()
                await turns(4)

        loop.run_until_complete(main())
        return calls

    kind, calls = same_as_stock(scenario)
    assert kind == "returned"
    assert [name for name, _ in calls] == COUNTED


def test_methods_replaced_in_the_class_are_called_and_not_after_it(same_as_stock):
    def scenario(loop, _):
        calls = []

        async def one_connection():
            async with serving() as (_, connect):
                (await connect()).close()
                await turns(4)
            return len(calls)

        counts = [loop.run_until_complete(one_connection())]
        with pytest.MonkeyPatch.context() as patch:
            for name in COUNTED:
                patch.setattr(Server, name, noting(calls, name, getattr(Server, name)))
            counts.append(loop.run_until_complete(one_connection()))
        return [*counts, loop.run_until_complete(one_connection())]

    assert same_as_stock(scenario) == ("returned", [0, 2, 2])


def test_a_server_without_sockets_takes_no_connection(same_as_stock):
    def scenario(loop, _):
        reports = []
        loop.set_exception_handler(lambda _, report: reports.append(report["message"]))
        loop.set_debug(True)

        async def main():
            async with serving() as (server, connect):
                address, sockets = server.sockets[0].getsockname(), server._sockets
                await connect()
                server._sockets = None
                with socket.create_connection(address), warnings.catch_warnings():
                    # Nobody closes the connection.
                    warnings.simplefilter("ignore", ResourceWarning)
                    await turns(4)
                    server._sockets = sockets
                    gc.collect()
            return sorted(set(reports))

        return loop.run_until_complete(main())

    assert same_as_stock(scenario) == (
        "returned",
        ["Error on transport creation for incoming connection"],
    )


@only_since_313
def test_the_clients_are_a_weak_set_of_transports(same_as_stock):
    def scenario(loop, _):
        async def main():
            async with serving() as (server, connect):
                clients = [await connect() for _ in range(3)]
                seen = [len(server._clients), type(server._clients) is weakref.WeakSet]
                names = {each.get_extra_info("peername") for each in server._clients}
                seen.append(names == {client.getsockname() for client in clients})
                clients[1].close()
                await turns(4)
                seen.append(len(server._clients))
            return [*seen, len(server._clients), len(server._clients.data)]

        return loop.run_until_complete(main())

    assert same_as_stock(scenario) == ("returned", [3, True, True, 2, 0, 0])


@only_since_313
def test_connections_that_end_while_somebody_iterates(same_as_stock):
    def scenario(loop, _):
        async def main():
            async with serving() as (server, connect):
                clients = [await connect() for _ in range(3)]
                iterator = iter(server._clients)
                first = next(iterator)
                clients[0].close()
                await turns(4)
                seen = [len(server._clients)]
                with contextlib.suppress(RuntimeError):
                    seen.append(len(list(iterator)))
                # One of which the collector takes the last reference.
                server._clients._iterating.add(iterator)
                server._clients.add(forgotten := Thing())
                del forgotten
                gc.collect()
                seen.append(len(server._clients._pending_removals))
                clients[1].close()
                await turns(4)
                seen.append((len(server._clients), len(server._clients._pending_removals)))
                del first
            return seen

        return loop.run_until_complete(main())

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert seen[-2:] == [1, (1, 0)]


@only_since_313
def test_another_set_takes_the_place_of_the_clients(same_as_stock):
    def scenario(loop, _):
        noted = []

        class Clients(weakref.WeakSet):
            def add(self, item):
                noted.append("add")
                super().add(item)

            def discard(self, item):
                noted.append("discard")
                super().discard(item)

        def change(server):
            server._clients = Clients()

        async def main():
            async with serving(change) as (_, connect):
                (await connect()).close()
                await turns(4)
            return noted

        return loop.run_until_complete(main())

    assert same_as_stock(scenario) == ("returned", ["add", "discard"])
