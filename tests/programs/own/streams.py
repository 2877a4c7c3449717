"""Streams over TCP and over a unix socket: lines, limits, half-close, errors, many clients."""

import asyncio
import tempfile
from pathlib import Path


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.write(b"bye\n")
    writer.close()
    await writer.wait_closed()


async def talk(reader, writer, *lines):
    for line in lines:
        writer.write(line + b"\n")
        print(await reader.readline())
    writer.write_eof()
    print(await reader.read(), reader.at_eof())
    writer.close()
    await writer.wait_closed()


async def short_answers(reader, writer):
    await reader.readexactly(2)
    writer.write(b"0123456789")
    writer.close()


async def errors(host, port):
    reader, writer = await asyncio.open_connection(host, port, limit=4)
    writer.write(b"go")
    for read in (reader.readuntil(b";"), reader.readexactly(20)):
        try:
            print(await read)
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError) as error:
            print(type(error).__name__, error)
    print(await reader.read(5), reader.at_eof())
    try:
        reader.set_exception(ValueError("set"))
        await reader.read()
    except ValueError as error:
        print(error)
    writer.close()
    try:
        await asyncio.open_connection(host, 1)
    except ConnectionRefusedError as error:
        print(error.errno)


async def large(reader, writer):
    received = 0
    while data := await reader.read(65536):
        received += len(data)
    writer.write(str(received).encode())
    writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    await talk(*await asyncio.open_connection(*address), b"one", b"two")
    pairs = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(20)))
    for number, (_, writer) in enumerate(pairs):
        writer.write(b"client %d\n" % number)
    print([await reader.readline() for reader, _ in pairs])
    for _, writer in pairs:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    print(server.sockets, server.is_serving())

    async with await asyncio.start_server(short_answers, "127.0.0.1", 0) as server:
        await errors(*server.sockets[0].getsockname())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        async with await asyncio.start_unix_server(large, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.writelines([b"x" * 100_000] * 30)
            await writer.drain()
            writer.write_eof()
            print(await reader.read())
            writer.close()
            await writer.wait_closed()


asyncio.run(main())
