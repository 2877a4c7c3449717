"""redis-py against the Redis whose Unix socket is the first argument."""

import asyncio
import sys

from redis import asyncio as redis


async def count(client: redis.Redis, name: str) -> int:
    return await client.incr(name)


async def transact(client: redis.Redis) -> None:
    async with client.pipeline(transaction=True) as pipe:
        print(await pipe.set("a", 1).incrby("a", 41).get("a").execute())


async def subscribe(client: redis.Redis) -> None:
    async with client.pubsub() as channel:
        await channel.subscribe("news")
        for number in range(3):
            await client.publish("news", f"message {number}")
        heard = []
        async for message in channel.listen():
            heard.append((message["type"], message["data"]))
            if len(heard) == 4:
                break
        print(heard)


async def wait_for_work(client: redis.Redis) -> None:
    worker = asyncio.create_task(client.blpop(["work"], timeout=10))
    await asyncio.sleep(0.01)
    await client.rpush("work", "a job")
    print(await worker)
    idle = asyncio.create_task(client.blpop(["work"], timeout=10))
    await asyncio.sleep(0.01)
    idle.cancel()
    try:
        await idle
    except asyncio.CancelledError:
        print("the idle worker was cancelled")


async def main(path: str) -> None:
    async with redis.Redis(unix_socket_path=path, decode_responses=True) as client:
        await client.flushall()
        await client.set("large", "x" * 2_000_000)
        print(len(await client.get("large")))
        print(sorted(await asyncio.gather(*(count(client, "n") for _ in range(100))))[-3:])
        await transact(client)
        await subscribe(client)
        await wait_for_work(client)
        print(sorted([key async for key in client.scan_iter()]))


asyncio.run(main(sys.argv[1]))
