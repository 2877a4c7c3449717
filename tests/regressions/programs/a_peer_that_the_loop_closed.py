# A transport that usually writes several times in a turn learns of its lost peer in `write`.
import asyncio

from stage import *

loop = new_loop("turns")
r0, w0, r1, w1 = loop.run_until_complete(stream_pair(16))


@traced
async def t0():
    # What comes after this is an error of the peer's protocol, whose transport is closed for it.
    loop.call_soon(r1.feed_eof)
    w0.write(b"ab\n")
    w0.write(b"ab\n")
    await asyncio.sleep(1e-9)
    w0.write(b"ab\n")
    log(1, w0.is_closing())
    await w0.drain()
    log(2, "drained")


play(t0)
