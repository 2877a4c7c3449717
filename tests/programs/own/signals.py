"""Signal handlers of the loop, signals while it sleeps, and Ctrl-C inside a coroutine."""

import asyncio
import os
import signal


def send(number):
    os.kill(os.getpid(), number)


async def handled(loop):
    got = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, got.put_nowait, "first")
    send(signal.SIGUSR1)
    print(await got.get())
    loop.add_signal_handler(signal.SIGUSR1, got.put_nowait, "second")
    loop.call_later(0.02, send, signal.SIGUSR1)
    print(await got.get())
    for _ in range(3):
        send(signal.SIGUSR1)
        await asyncio.sleep(0.01)
    print(got.qsize())
    print(loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1))
    print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)


def wrong(loop):
    for number in (signal.SIGKILL, 0, "SIGINT"):
        try:
            loop.add_signal_handler(number, print)
        except (RuntimeError, TypeError, ValueError) as error:
            print(type(error).__name__, error)


async def main():
    loop = asyncio.get_running_loop()
    await handled(loop)
    wrong(loop)
    previous = signal.signal(signal.SIGALRM, lambda number, frame: print("alarm", number))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    await asyncio.sleep(0.1)
    signal.signal(signal.SIGALRM, previous)
    loop.add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    loop.call_later(0.02, send, signal.SIGTERM)
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        print("terminated politely", asyncio.current_task().uncancel())


async def interrupted():
    asyncio.get_running_loop().call_later(0.02, send, signal.SIGINT)
    try:
        await asyncio.sleep(20)
    finally:
        print("cleaning up")


asyncio.run(main())
try:
    asyncio.run(interrupted())
except KeyboardInterrupt:
    print("interrupted")
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
loop = asyncio.new_event_loop()
loop.add_signal_handler(signal.SIGTERM, loop.stop)
loop.call_later(0.02, send, signal.SIGTERM)
loop.run_forever()
loop.close()
print(loop.is_closed(), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
asyncio.run(interrupted())
