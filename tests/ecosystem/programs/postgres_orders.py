"""asyncpg against the PostgreSQL whose socket folder is the first argument."""

import asyncio
import sys

import asyncpg


async def fill(pool: asyncpg.Pool) -> None:
    await pool.execute("CREATE TABLE orders (id serial PRIMARY KEY, item text, amount int)")
    rows = [(f"item {number % 7}", number) for number in range(5000)]
    await pool.copy_records_to_table("orders", records=rows, columns=["item", "amount"])


async def total(pool: asyncpg.Pool, item: str) -> int:
    return await pool.fetchval("SELECT sum(amount) FROM orders WHERE item = $1", item)


async def listen(pool: asyncpg.Pool) -> None:
    heard = asyncio.get_running_loop().create_future()

    def hear(connection, process, channel, payload):
        heard.set_result((channel, payload))

    async with pool.acquire() as listener, pool.acquire() as speaker:
        await listener.add_listener("news", hear)
        await speaker.execute("NOTIFY news, 'something happened'")
        print(await asyncio.wait_for(heard, 10))
        await listener.remove_listener("news", hear)


async def give_up(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        try:
            await connection.execute("SELECT pg_sleep(60)", timeout=0.05)
        except TimeoutError:
            print(
                "cancelled, and the connection still answers", await connection.fetchval("SELECT 1")
            )


async def roll_back(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM orders")
                await connection.execute("SELECT 1 / 0")
        except asyncpg.DivisionByZeroError as error:
            print("rolled back:", error)
        print(await connection.fetchval("SELECT count(*) FROM orders"))


async def walk(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        seen = 0
        async for row in connection.cursor("SELECT amount FROM orders ORDER BY id", prefetch=100):
            seen += row["amount"]
        print("walked over", seen)


async def main(folder: str) -> None:
    async with asyncpg.create_pool(
        host=folder, user="ferrio", database="postgres", min_size=2, max_size=5
    ) as pool:
        await fill(pool)
        print(await asyncio.gather(*(total(pool, f"item {number % 7}") for number in range(40))))
        await listen(pool)
        await give_up(pool)
        await roll_back(pool)
        await walk(pool)
        await pool.execute("DROP TABLE orders")


asyncio.run(main(sys.argv[1]))
