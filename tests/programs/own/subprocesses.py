"""Child processes: pipes, exit codes, signals, limits in time, many at once."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT


def python(code, **pipes):
    return asyncio.create_subprocess_exec(sys.executable, "-c", code, **pipes)


async def main():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    print(await process.communicate(b"through a pipe"), process.returncode)

    process = await asyncio.create_subprocess_shell(
        "echo out; echo err >&2; exit 7", stdout=PIPE, stderr=PIPE
    )
    print(await process.communicate(), process.returncode)

    process = await asyncio.create_subprocess_shell(
        "echo a; echo b >&2", stdout=PIPE, stderr=STDOUT
    )
    print([line async for line in process.stdout], await process.wait())

    process = await asyncio.create_subprocess_exec("sleep", "20")
    process.terminate()
    print(await process.wait() == -signal.SIGTERM)
    process = await asyncio.create_subprocess_exec("sleep", "20")
    try:
        await asyncio.wait_for(process.wait(), 0.05)
    except TimeoutError:
        process.kill()
        print("killed", await process.wait())
    try:
        process.send_signal(signal.SIGTERM)
    except ProcessLookupError:
        print("it is gone already")

    many = await asyncio.gather(
        *(asyncio.create_subprocess_shell(f"exit {n}", stdout=DEVNULL) for n in range(20))
    )
    print(await asyncio.gather(*(process.wait() for process in many)))

    process = await python("import sys; print(len(sys.stdin.read()))", stdin=PIPE, stdout=PIPE)
    process.stdin.writelines([b"y" * 50_000] * 20)
    await process.stdin.drain()
    process.stdin.close()
    print(await process.stdout.read(), await process.wait())

    process = await python("print('x' * 300000)", stdout=PIPE)
    print(len(await process.stdout.read()), await process.wait())
    try:
        await asyncio.create_subprocess_exec("/no/such/program")
    except FileNotFoundError as error:
        print(error)


asyncio.run(main())
