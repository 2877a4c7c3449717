"""A Starlette application for uvicorn, with a lifespan, a background task and a websocket."""

import asyncio
import contextlib
import sys

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(application):
    ticker = asyncio.create_task(asyncio.sleep(3600))
    print("started", file=sys.stderr, flush=True)
    yield {"greeting": "hello"}
    ticker.cancel()
    print("stopped", file=sys.stderr, flush=True)


async def which_loop(request):
    return JSONResponse({"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]})


async def greet(request):
    body = await request.body()
    told = await run_in_threadpool(str.upper, request.state.greeting)
    note = BackgroundTask(print, "answered", file=sys.stderr, flush=True)
    return JSONResponse({"greeting": told, "size": len(body)}, background=note)


async def stream(request):
    async def lines():
        for number in range(5):
            await asyncio.sleep(0)
            yield f"{number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def echo(socket):
    await socket.accept()
    await socket.send_text((await socket.receive_text()).upper())
    await socket.close(4000)


application = Starlette(
    routes=[
        Route("/loop", which_loop),
        Route("/greet", greet, methods=["POST"]),
        Route("/stream", stream),
        WebSocketRoute("/echo", echo),
    ],
    lifespan=lifespan,
)
