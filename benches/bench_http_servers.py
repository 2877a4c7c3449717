"""HTTP servers of the frameworks that programs use, as their documentation has one started.

Each listens on a socket of its own and serves from the loop that runs; uvicorn's own choice of a
loop is not asked. What a server answers is the same on every loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from net_rows import BACKLOG, Address, Kept, add_row, bound_address, server

CONNECTIONS = 64
PLAIN_TEXT = b"Hello, world!"
TEN_KIB = b"x" * 10 * 1024

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


def asgi_app(body: bytes) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The smallest ASGI application: one answer to every request."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def under_uvicorn(app: Any, at: Address, kept: Kept) -> Address:
    """Serve with uvicorn and httptools, on a socket that uvicorn has the loop make."""
    import uvicorn

    config = uvicorn.Config(
        app,
        host=at.host,
        port=at.port,
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=BACKLOG,
    )
    running = uvicorn.Server(config)
    serving = asyncio.ensure_future(running.serve())
    kept.append(serving)
    while not running.started:
        if serving.done():
            raise RuntimeError("uvicorn ended before it had started")
        await asyncio.sleep(0)
    return bound_address(at, running.servers[0])


@server
async def uvicorn_plaintext(at: Address, kept: Kept) -> Address:
    return await under_uvicorn(asgi_app(PLAIN_TEXT), at, kept)


@server
async def uvicorn_10k(at: Address, kept: Kept) -> Address:
    return await under_uvicorn(asgi_app(TEN_KIB), at, kept)


@server
async def fastapi_json(at: Address, kept: Kept) -> Address:
    import fastapi

    app = fastapi.FastAPI()

    @app.get("/")
    async def read_root() -> dict[str, str]:
        return {"message": "Hello, world!"}

    return await under_uvicorn(app, at, kept)


@server
async def aiohttp_server(at: Address, kept: Kept) -> Address:
    from aiohttp import web

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=PLAIN_TEXT, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, at.host, at.port, backlog=BACKLOG)
    await site.start()
    kept.append(runner)
    return at._replace(port=runner.addresses[0][1])


def add_http_row(name: str, label: str, cpu_goal: float | None = None) -> None:
    """A row under wrk; `cpu_goal` is the most CPU a request may cost, as a factor of uvloop's."""
    add_row(
        name,
        label,
        server=name,
        load=("--connections", str(CONNECTIONS)),
        operation="one request",
        uvloop_goal=1 / cpu_goal if cpu_goal else None,
    )


add_http_row("uvicorn_plaintext", "uvicorn, 13 B of plain text", 0.63)
add_http_row("uvicorn_10k", "uvicorn, 10 KiB")
add_http_row("aiohttp_server", "aiohttp server, 13 B of plain text", 0.82)
add_http_row("fastapi_json", "FastAPI under uvicorn, JSON", 0.75)
