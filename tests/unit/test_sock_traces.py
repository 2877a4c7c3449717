"""Random programs of sock_* calls, readers and cancels: the same trace as stock, turn for turn."""

import asyncio
import contextlib
import random
import socket

import pytest

PROGRAMS = 60


class Program:
    """A few tasks that do random things with the ends of a few pairs of sockets."""

    def __init__(self, trace, seed):
        self.trace = trace
        self.loop = trace.loop
        self.seed = seed
        self.random = random.Random(seed)
        self.tasks = []
        self.socks = []
        for _ in range(self.random.choice([1, 2, 3])):
            for sock in socket.socketpair():
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                self.socks.append(sock)

    async def run(self):
        for index in range(6):
            name = f"task {index}"
            steps = self.steps(name, random.Random(f"{self.seed} {index}"))
            self.tasks.append(self.loop.create_task(steps, name=name))
        await self.trace.turns(40)
        for task in self.tasks:
            task.cancel()
        await self.trace.turns(10)
        # What others replaced waits on; it is cancelled as often as it takes.
        while pending := [task for task in self.tasks if not task.done()]:
            self.trace.note("pending", *(task.get_name() for task in pending))
            for task in pending:
                task.cancel()
            await self.trace.turns(2)
        for index, sock in enumerate(self.socks):
            if sock.fileno() >= 0:
                watched = self.loop.remove_reader(sock), self.loop.remove_writer(sock)
                self.trace.note("watched", index, *watched)
            sock.close()

    async def steps(self, name, rng):
        acts = [self.recv, self.recv, self.recv_into, self.recvfrom, self.sendall, self.sendall]
        acts += [self.send, self.pause, self.watch, self.unwatch, self.cancel, self.close]
        for _ in range(rng.randint(1, 6)):
            act, index = rng.choice(acts), rng.randrange(len(self.socks))
            try:
                result = await act(rng, self.socks[index], index)
                self.trace.note(name, act.__name__, index, result)
            except asyncio.CancelledError:
                self.trace.note(name, act.__name__, index, "cancelled")
                if rng.random() < 0.5:
                    raise
            except (OSError, ValueError) as exc:
                self.trace.note(name, act.__name__, index, exc)

    async def recv(self, rng, sock, _):
        return len(await self.loop.sock_recv(sock, rng.choice([1, 10, 5000, 100_000])))

    async def recv_into(self, rng, sock, _):
        return await self.loop.sock_recv_into(sock, bytearray(rng.choice([1, 50, 5000])))

    async def recvfrom(self, rng, sock, _):
        if rng.random() < 0.5:
            data, sender = await self.loop.sock_recvfrom(sock, rng.choice([1, 5000]))
            return len(data), sender
        return await self.loop.sock_recvfrom_into(sock, bytearray(300), rng.choice([0, 10]))

    async def sendall(self, rng, sock, _):
        data = rng.choice([bytes, bytearray, memoryview])(bytes(rng.choice([0, 1, 100, 60_000])))
        return await self.loop.sock_sendall(sock, data)

    async def send(self, rng, sock, _):
        with contextlib.suppress(BlockingIOError):
            return sock.send(bytes(rng.choice([1, 500])))

    async def pause(self, rng, sock, _):
        await asyncio.sleep(0)

    async def watch(self, rng, sock, index):
        kind, calls = rng.choice(["reader", "writer"]), []
        fd = sock.fileno()

        def told():
            self.trace.note(kind, index)
            calls.append(None)
            if len(calls) > 2:
                getattr(self.loop, f"remove_{kind}")(fd)

        getattr(self.loop, f"add_{kind}")(rng.choice([sock, fd]), told)

    async def unwatch(self, rng, sock, _):
        return getattr(self.loop, rng.choice(["remove_reader", "remove_writer"]))(sock)

    async def cancel(self, rng, sock, _):
        return rng.choice(self.tasks).cancel()

    async def close(self, rng, sock, _):
        if rng.random() < 0.3 and sock.fileno() >= 0:
            self.loop.remove_reader(sock)
            self.loop.remove_writer(sock)
            sock.close()


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_random_program(same_trace, seed):
    async def scenario(trace):
        await Program(trace, seed).run()

    assert same_trace(scenario)
