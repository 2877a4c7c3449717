"""A row of the network tables: its server, the load it is put under, and the list of all rows.

The bench_net_*.py modules declare servers with the `server` decorator, and what a process repeats
by itself with `program`, or with `client` if it needs a server. A server receives the address to
listen at and returns the one it got. All of them do the same work on every loop.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from rows import Case

BACKLOG = 4096
READ_SIZE = 64 * 1024
"""What programs ask for that read until something comes: the limit of asyncio's StreamReader."""

NET_TOPICS = ("net_streams", "net_tls", "net_clients", "net_datagrams", "net_files", "net_children")
HTTP_TOPICS = ("http_servers", "http_clients")

KIB = 1024
FILE_SIZE = 1024 * KIB
FILE_REQUEST_SIZE = 64
"""Bytes that ask for the file once; crates/bench-net/src/serve/file.rs has the same."""


class Address(NamedTuple):
    """`tcp:127.0.0.1:0`, `udp:127.0.0.1:0` or `unix:/path`, as crates/bench-net writes it."""

    kind: str
    host: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        kind, _, rest = text.partition(":")
        if kind == "unix":
            return cls(kind, rest)
        host, _, port = rest.rpartition(":")
        return cls(kind, host, int(port))

    def __str__(self) -> str:
        return ":".join(map(str, self[:2] if self.kind == "unix" else self))


Kept = list[Any]
Server = Callable[[Address, Kept], Coroutine[Any, Any, Address]]
Program = Callable[[], Coroutine[Any, Any, None]]
Client = Callable[[Address], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class NetRow(Case):
    """One line of the tables."""

    server: str
    """The name of a server, of a program or of a client."""
    at: str
    """Where the server listens; `unix:` and `file:` are completed by the runner."""
    load: tuple[str, ...]
    """Arguments of `bench-net load`; of net_server.py for a program or a client. With `--tls` the
    server has a certificate, and loops with aiofastnet take part."""
    bare: tuple[str, ...]
    """Arguments of the bare counterpart: of `serve`, `spawn`, or `load` for a client."""
    bare_limit: float | None
    """The most CPU that Ferrio may use, as a factor of the bare server's, where that is set."""
    by_default: bool
    """Whether the row is measured without `--all` and without being named."""


servers: dict[str, Server] = {}
programs: dict[str, Program] = {}
clients: dict[str, Client] = {}
closing: list[Program] = []
"""What a process runs once it has measured: a client's session ends in order."""
_rows: dict[str, NetRow] = {}


def server(function: Server) -> Server:
    """Declare a server; it keeps what must stay alive in the list it is given."""
    servers[function.__name__] = function
    return function


def program(function: Program) -> Program:
    """Declare one operation that a process repeats by itself, without a load from outside."""
    programs[function.__name__] = function
    return function


def client(function: Client) -> Client:
    """Declare one operation that a process repeats against a bare echo server on another core."""
    clients[function.__name__] = function
    return function


def add_row(
    name: str,
    label: str,
    *,
    server: str,
    at: str = "tcp:127.0.0.1:0",
    load: tuple[str, ...],
    bare: tuple[str, ...] = (),
    operation: str = "one echo",
    bare_limit: float | None = None,
    uvloop_goal: float | None = None,
    by_default: bool = True,
) -> None:
    """Declare a row."""
    _rows[name] = NetRow(
        name=name,
        label=label,
        operation=operation,
        uvloop_goal=uvloop_goal,
        installed_goal=None,
        stands_for=None,
        server=server,
        at=at,
        load=load,
        bare=bare,
        bare_limit=bare_limit,
        by_default=by_default,
    )


def echo_load(connections: int, size: int, *more: str) -> tuple[str, ...]:
    """The load generator's arguments for so many connections and bytes a message."""
    return ("--connections", str(connections), "--size", str(size), *more)


def size_label(size: int) -> str:
    return f"{size // KIB} KiB" if size >= KIB else f"{size} B"


def bound_address(at: Address, running: asyncio.AbstractServer) -> Address:
    """The address with the port that the server's first socket has."""
    if at.kind == "unix":
        return at
    return at._replace(port=running.sockets[0].getsockname()[1])  # type: ignore[attr-defined]


def all_net_rows(topics: tuple[str, ...] = NET_TOPICS) -> dict[str, NetRow]:
    """Every row of these topics by its name, in the order of the tables."""
    for topic in topics:
        importlib.import_module(f"bench_{topic}")
    return _rows
