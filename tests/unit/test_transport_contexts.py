"""The contextvars context in which each protocol callback runs, and what it sees."""

import asyncio
import contextvars
import io
import os
import socket

import pytest

PLACE = contextvars.ContextVar("PLACE", default="nowhere")


class Watcher(asyncio.Protocol):
    """Notes the value of PLACE in every callback, and sets it there."""

    def __init__(self, seen):
        self.seen = seen
        self.look("factory")

    def look(self, callback):
        self.seen.append((callback, PLACE.get()))
        PLACE.set(f"{callback}, after {PLACE.get()}" if len(PLACE.get()) < 70 else callback)

    def connection_made(self, transport):
        self.transport = transport
        self.look("connection_made")

    def data_received(self, data):
        self.look("data_received")

    def eof_received(self):
        self.look("eof_received")

    def connection_lost(self, exc):
        self.look("connection_lost")

    def pause_writing(self):
        self.look("pause_writing")

    def resume_writing(self):
        self.look("resume_writing")


class BufferedWatcher(asyncio.BufferedProtocol):
    """The same for the callbacks of a BufferedProtocol."""

    __init__ = Watcher.__init__
    look = Watcher.look
    connection_made = Watcher.connection_made
    eof_received = Watcher.eof_received
    connection_lost = Watcher.connection_lost

    def get_buffer(self, sizehint):
        self.look("get_buffer")
        return bytearray(100)

    def buffer_updated(self, nbytes):
        self.look("buffer_updated")


async def some_turns(number=3):
    for _ in range(number):
        await asyncio.sleep(0)


def in_new_context(loop, coroutine):
    """Run the coroutine in a context where PLACE says "main"."""

    async def main():
        PLACE.set("main")
        return await coroutine

    return contextvars.Context().run(loop.run_until_complete, main())


@pytest.mark.parametrize("watcher", [Watcher, BufferedWatcher])
@pytest.mark.parametrize("method", ["create_connection", "connect_accepted_socket"])
def test_callbacks_of_a_connection(same_as_stock, watcher, method):
    def scenario(loop, _):
        seen = []

        async def main():
            near, far = socket.socketpair()
            transport, _ = await getattr(loop, method)(lambda: watcher(seen), sock=near)
            seen.append(("connected", PLACE.get()))
            PLACE.set("after connecting")
            for _ in range(2):
                far.send(b"data")
                await some_turns()
            PLACE.set("at the end")
            far.close()
            await some_turns()
            seen.append(("closed", PLACE.get(), transport.is_closing()))

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert seen[0] == ("factory", "main")
    assert seen[1] == ("connection_made", "factory, after main")
    # What connection_made sets is not seen by the coroutine, which runs in a context of its own.
    assert seen[2] == ("connected", "factory, after main")
    assert [callback for callback, *_ in seen[-3:]] == ["eof_received", "connection_lost", "closed"]


def test_each_read_callback_sees_what_was_set_when_reading_began(same_as_stock):
    def scenario(loop, _):
        seen = []

        async def main():
            near, far = socket.socketpair()
            with far:
                transport, protocol = await loop.create_connection(lambda: Watcher(seen), sock=near)
                far.send(b"data")
                await some_turns()
                transport.pause_reading()
                PLACE.set("resumed here")
                transport.resume_reading()
                far.send(b"data")
                await some_turns()
                PLACE.set("protocol set here")
                transport.set_protocol(protocol)
                far.send(b"data")
                await some_turns()
                PLACE.set("closed here")
                transport.close()
                await some_turns()

        in_new_context(loop, main())
        return [place for callback, place in seen if callback != "factory"]

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert "resumed here" in seen
    assert "protocol set here" not in seen
    assert "closed here" in seen


def test_callbacks_of_a_server(same_as_stock, tmp_path):
    def scenario(loop, _):
        seen = []
        path = str(tmp_path / "socket")

        async def main():
            PLACE.set("before create_server")
            server = await loop.create_unix_server(lambda: Watcher(seen), path)
            PLACE.set("after create_server")
            for number in range(2):
                with socket.socket(socket.AF_UNIX) as client:
                    PLACE.set(f"client {number}")
                    client.connect(path)
                    await some_turns(5)
                    client.send(b"data")
                    await some_turns()
                await some_turns()
                seen.append(("client", PLACE.get()))
            server.close()
            await some_turns()

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert [callback for callback, _ in seen].count("connection_lost") == 2
    # Each connection begins with what the server's maker had, not with the last client's.
    factories = [place for callback, place in seen if callback == "factory"]
    assert factories == ["before create_server"] * 2


def test_start_serving_later_takes_the_context_of_then(same_as_stock, tmp_path):
    def scenario(loop, _):
        seen = []
        path = str(tmp_path / "socket")

        async def main():
            PLACE.set("made")
            server = await loop.create_unix_server(lambda: Watcher(seen), path, start_serving=False)
            PLACE.set("started")
            await server.start_serving()
            PLACE.set("later")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                await some_turns(5)
            await some_turns()
            server.close()
            await some_turns()

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert seen[0] == ("factory", "started")


@pytest.mark.parametrize("full", [False, True])
def test_flow_control_runs_where_the_write_or_the_flush_does(same_as_stock, full):
    def scenario(loop, _):
        seen = []

        async def main():
            near, far = socket.socketpair()
            far.setblocking(False)
            with far:
                transport, _ = await loop.create_connection(lambda: Watcher(seen), sock=near)
                if full:
                    transport.set_write_buffer_limits(high=1 << 30)
                PLACE.set("writing")
                written = 0
                while transport.get_write_buffer_size() <= 65536:
                    transport.write(b"x" * 65536)
                    written += 65536
                PLACE.set("lowering")
                transport.set_write_buffer_limits(high=1000)
                PLACE.set("reading")
                while written:
                    try:
                        written -= len(far.recv(1 << 20))
                    except BlockingIOError:
                        await some_turns(1)
                PLACE.set("closing")
                transport.close()
                await some_turns()

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    places = dict(seen)
    assert places["pause_writing"] == ("lowering" if full else "writing")
    assert "resume_writing" in places
    assert places["connection_lost"] == "closing"


@pytest.mark.parametrize("how", ["close", "abort", "error", "peer"])
def test_connection_lost_runs_in_the_context_that_ended_the_connection(same_as_stock, how):
    def scenario(loop, _):
        seen = []
        loop.set_exception_handler(lambda *_: seen.append(("reported", PLACE.get())))

        class Failing(Watcher):
            def data_received(self, data):
                self.look("data_received")
                raise ValueError("of the program")

        async def main():
            near, far = socket.socketpair()
            with far:
                factory = Failing if how == "error" else Watcher
                transport, _ = await loop.create_connection(lambda: factory(seen), sock=near)
                PLACE.set("ending")
                if how == "error":
                    far.send(b"data")
                elif how == "peer":
                    far.close()
                else:
                    getattr(transport, how)()
                PLACE.set("ended")
                await some_turns(4)

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    lost = dict(seen)["connection_lost"]
    assert (lost == "ending") == (how in {"close", "abort"})


def test_tasks_and_callbacks_made_in_a_callback_inherit_its_context(same_as_stock):
    def scenario(loop, _):
        seen = []

        async def task(name):
            seen.append((f"task of {name}", PLACE.get()))
            PLACE.set("inside the task")
            await asyncio.sleep(0)
            seen.append((f"task of {name} again", PLACE.get()))

        class Spawning(Watcher):
            def look(self, callback):
                super().look(callback)
                loop.create_task(task(callback))
                loop.call_soon(lambda: seen.append((f"call_soon of {callback}", PLACE.get())))

        async def main():
            near, far = socket.socketpair()
            await loop.create_connection(lambda: Spawning(seen), sock=near)
            far.send(b"data")
            await some_turns(5)
            far.close()
            await some_turns(7)

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    places = dict(seen)
    for callback in ("connection_made", "data_received", "connection_lost"):
        assert places[f"task of {callback}"].startswith(f"{callback}, after ") or (
            places[f"task of {callback}"] == callback
        )
        assert places[f"task of {callback} again"] == "inside the task"


@pytest.mark.parametrize("end", ["read", "write"])
def test_callbacks_of_a_pipe(same_as_stock, end):
    def scenario(loop, _):
        seen = []

        async def main():
            reading, writing = os.pipe()
            if end == "read":
                pipe, other = io.FileIO(reading, "r"), writing
                transport, _ = await loop.connect_read_pipe(lambda: Watcher(seen), pipe)
                PLACE.set("connected")
                os.write(other, b"data")
                await some_turns()
            else:
                pipe, other = io.FileIO(writing, "w"), reading
                transport, _ = await loop.connect_write_pipe(lambda: Watcher(seen), pipe)
                PLACE.set("connected")
                transport.write(b"data")
            PLACE.set("closing")
            os.close(other)
            await some_turns(4)
            return transport.is_closing()

        closing = in_new_context(loop, main())
        return seen, closing

    kind, (seen, closing) = same_as_stock(scenario)
    assert (kind, closing) == ("returned", True)
    assert [callback for callback, _ in seen][-1] == "connection_lost"


def test_callbacks_of_a_datagram_endpoint(same_as_stock):
    class Datagrams(asyncio.DatagramProtocol):
        __init__ = Watcher.__init__
        look = Watcher.look
        connection_made = Watcher.connection_made
        connection_lost = Watcher.connection_lost

        def datagram_received(self, data, addr):
            self.look("datagram_received")

    def scenario(loop, _):
        seen = []

        async def main():
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            with far:
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: Datagrams(seen), sock=near
                )
                PLACE.set("connected")
                for _ in range(2):
                    far.send(b"data")
                    await some_turns()
                PLACE.set("closing")
                transport.close()
                await some_turns()

        in_new_context(loop, main())
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert [callback for callback, _ in seen].count("datagram_received") == 2
    assert seen[-1] == ("connection_lost", "closing")
