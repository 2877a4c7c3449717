"""An aiohttp server and its client in one process: requests, a stream, an upload, a websocket."""

import asyncio

from aiohttp import ClientSession, WSMsgType, web


async def show(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path, "query": dict(request.query)})


async def count(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(5):
        await response.write(f"{number}\n".encode())
        await asyncio.sleep(0)
    return response


async def measure(request: web.Request) -> web.Response:
    size = 0
    async for chunk in request.content.iter_chunked(4096):
        size += len(chunk)
    return web.Response(text=f"{size} bytes")


async def fail(request: web.Request) -> web.Response:
    raise web.HTTPTeapot(text="no coffee")


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    print("the websocket was closed with", socket.close_code)
    return socket


async def visit(session: ClientSession) -> None:
    async with session.get("/show", params={"a": "1"}) as response:
        print(response.status, await response.json())
    async with session.get("/count") as response:
        print(response.status, [line async for line in response.content])
    async with session.post("/measure", data=b"x" * 3_000_000) as response:
        print(response.status, await response.text())
    async with session.get("/fail") as response:
        print(response.status, await response.text())
    answers = await asyncio.gather(*(ask(session, number) for number in range(50)))
    print(len(answers), sorted(set(answers)))


async def ask(session: ClientSession, number: int) -> int:
    async with session.get("/show", params={"n": str(number)}) as response:
        assert (await response.json())["query"] == {"n": str(number)}
        return response.status


async def talk(session: ClientSession) -> None:
    async with session.ws_connect("/echo") as socket:
        await socket.send_str("hello")
        print(await socket.receive_str())
        await socket.send_bytes(bytes(range(5)))
        print(await socket.receive_bytes())
        await socket.send_bytes(b"ab" * 500_000)
        print(len(await socket.receive_bytes()))


async def main() -> None:
    application = web.Application(client_max_size=0)
    for path, handler in (("/show", show), ("/count", count), ("/fail", fail), ("/echo", echo)):
        application.router.add_get(path, handler)
    application.router.add_post("/measure", measure)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with ClientSession(f"http://{host}:{port}") as session:
        await visit(session)
        await talk(session)
    await runner.cleanup()
    print("done")


asyncio.run(main())
