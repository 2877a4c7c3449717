"""Callbacks: their order, their contexts, timers that tie, stop, and loops that run again."""

import asyncio
import contextvars

name = contextvars.ContextVar("name", default="outside")
log = []


def note(what):
    log.append((what, name.get()))


def show():
    print(log)
    log.clear()


def chain(loop, count):
    note(count)
    if count:
        loop.call_soon(chain, loop, count - 1)
    else:
        loop.stop()


def orders(loop):
    context = contextvars.copy_context()
    context.run(name.set, "inside")
    loop.call_soon(note, "soon")
    loop.call_soon(note, "soon in a context", context=context)
    now = loop.time()
    for delay in (0.2, 0.1, 0.2, 0.1):
        loop.call_at(now + delay, note, f"at {delay}")
    loop.call_later(0, note, "later, zero")
    loop.call_later(-5, note, "later, negative", context=context)
    cancelled = [loop.call_soon(note, "no"), loop.call_later(0.1, note, "no")]
    for handle in cancelled:
        handle.cancel()
    print([handle.cancelled() for handle in cancelled], cancelled)
    loop.call_later(0.4, loop.stop)
    loop.run_forever()
    show()


def stops(loop):
    loop.call_soon(loop.stop)
    loop.call_soon(note, "in the same turn as stop")
    loop.call_soon(lambda: loop.call_soon(note, "of the next run"))
    loop.run_forever()
    show()
    loop.stop()
    loop.run_forever()
    show()


def errors(loop):
    async def runs_inside():
        for call in (lambda: loop.run_until_complete(loop.create_future()), loop.close):
            try:
                call()
            except RuntimeError as error:
                print(error)

    loop.run_until_complete(runs_inside())
    loop.call_soon(loop.stop)
    try:
        loop.run_until_complete(loop.create_future())
    except RuntimeError as error:
        print(error)


def interrupts(loop):
    def leave(error):
        raise error

    for error in (SystemExit(3), KeyboardInterrupt()):
        loop.call_soon(leave, error)
        loop.call_soon(note, "after the one that left")
        try:
            loop.run_forever()
        except BaseException as caught:
            print(repr(caught), loop.is_running(), loop.is_closed())
        loop.call_soon(loop.stop)
        loop.run_forever()
        show()


loop = asyncio.new_event_loop()
print(loop)
orders(loop)
stops(loop)
chain(loop, 5)
loop.run_forever()
show()
errors(loop)
interrupts(loop)
loop.close()
loop.close()
print(loop)
unstarted = asyncio.sleep(0)
for call in (
    lambda: loop.call_soon(print),
    loop.run_forever,
    lambda: loop.create_task(unstarted),
):
    try:
        call()
    except RuntimeError as error:
        print(error)
unstarted.close()
