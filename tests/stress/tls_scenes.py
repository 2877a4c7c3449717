"""A TLS server under stress, which tells what it counts as those of connection_scenes.py do."""

import contextlib
import ssl

from connection_scenes import SPARE_DESCRIPTORS, Echo, Guestbook
from stress_stage import allow_descriptors

BACKLOG = 4096


async def serve(stage, certificate, number, engine=""):
    """An echo server over TLS for `number` connections at once, with that way to OpenSSL.

    Cues: `count` tells what is open now, `empty` the same when no connection is left.
    """
    if engine:
        from ferrio import _ferrio

        _ferrio._set_tls_engine(engine)
    allow_descriptors(number + SPARE_DESCRIPTORS)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    book = Guestbook(stage.loop)
    server = await stage.loop.create_server(
        lambda: Echo(book), "127.0.0.1", 0, ssl=context, backlog=BACKLOG
    )
    stage.tell(address=server.sockets[0].getsockname())
    while cue := await stage.cue():
        if cue == "empty":
            await book.few()
        stage.tell(made=book.made, present=book.present, lost=book.lost, **stage.count())
    server.close()
    with contextlib.suppress(TimeoutError):
        await server.wait_closed()
