"""An ASGI application without any framework: every answer names the module of the loop."""

import asyncio


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    loop = type(asyncio.get_running_loop()).__module__
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(loop)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": loop.encode()})
