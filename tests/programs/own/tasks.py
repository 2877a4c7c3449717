"""Tasks: order of steps, results, cancellation, gather, wait, as_completed and shield."""

import asyncio


async def step(name, count):
    for number in range(count):
        print(name, number)
        await asyncio.sleep(0)
    return name.upper()


async def fail(text):
    await asyncio.sleep(0)
    raise ValueError(text)


async def stubborn():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        print("asked to stop", error.args)
        await asyncio.sleep(0)
        return "stopped in its own time"


async def waits():
    tasks = {asyncio.create_task(step("w", n), name=f"w{n}") for n in (1, 2, 3)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print(sorted(t.get_name() for t in done), sorted(t.get_name() for t in pending))
    done, pending = await asyncio.wait(pending)
    print(sorted(t.get_name() for t in done), pending)
    delays = [asyncio.sleep(delay, delay) for delay in (0.3, 0.1, 0.2)]
    print([await future for future in asyncio.as_completed(delays)])


async def cancels():
    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    print(task, task.cancelling())
    print(task.cancel("enough"), task.cancelling(), task.uncancel(), task.cancelling())
    print(await task, task)
    never_ran = asyncio.create_task(step("never", 1))
    never_ran.cancel()
    print(await asyncio.gather(never_ran, return_exceptions=True), never_ran.cancelled())
    inner = asyncio.create_task(step("shielded", 2))
    outer = asyncio.shield(inner)
    await asyncio.sleep(0)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        print("outer cancelled, inner gives", await inner)
    gathered = asyncio.gather(step("g", 5), step("h", 5))
    await asyncio.sleep(0)
    gathered.cancel("together")
    try:
        await gathered
    except asyncio.CancelledError as error:
        print("gather cancelled", error.args)


async def main():
    print(await asyncio.gather(step("a", 2), step("b", 3), fail("c"), return_exceptions=True))
    try:
        await asyncio.gather(step("d", 1), fail("e"))
    except ValueError as error:
        print("gather raised", error)
    await waits()
    await cancels()
    task = asyncio.create_task(step("last", 1), name="last")
    task.add_done_callback(lambda t: print("first callback", t.result()))
    task.add_done_callback(lambda t: print("second callback", t.done()))
    print(task in asyncio.all_tasks(), asyncio.current_task().get_name())
    await task
    await asyncio.sleep(0)
    future = asyncio.get_running_loop().create_future()
    print(future, repr(future.cancel("no need")), future)
    try:
        await future
    except asyncio.CancelledError as error:
        print(error.args)
    for wrong in (future.result, future.exception, task.set_result):
        try:
            wrong(*[1] * (wrong.__name__ == "set_result"))
        except (asyncio.CancelledError, RuntimeError) as error:
            print(type(error).__name__, error)


asyncio.run(main())
