"""A file of 1 MiB for each request: loop.sendfile and loop.sock_sendfile."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from bench_net_streams import serve_sockets, serve_streams
from net_rows import FILE_REQUEST_SIZE, FILE_SIZE, Address, Kept, add_row, echo_load, server

served: list[Path] = []
"""The file, put here by net_server.py before it starts the server."""


async def send_file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with served[0].open("rb") as file:
        try:
            while True:
                await reader.readexactly(FILE_REQUEST_SIZE)
                await loop.sendfile(writer.transport, file, 0, FILE_SIZE)
        except asyncio.IncompleteReadError:
            writer.close()


async def send_file_on_socket(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection, served[0].open("rb") as file:
        while await loop.sock_recv(connection, FILE_REQUEST_SIZE):
            await loop.sock_sendfile(connection, file, 0, FILE_SIZE)


@server
async def files(at: Address, kept: Kept) -> Address:
    return await serve_streams(send_file, at, kept)


@server
async def sock_files(at: Address, kept: Kept) -> Address:
    return serve_sockets(send_file_on_socket, at, kept)


for name, label in (("files", "loop.sendfile"), ("sock_files", "loop.sock_sendfile")):
    add_row(
        name,
        f"{label}, 10 x 1 MiB",
        server=name,
        load=echo_load(10, FILE_REQUEST_SIZE, "--reply", "FILE"),
        bare=("--file", "FILE"),
        operation="one file of 1 MiB sent",
    )
