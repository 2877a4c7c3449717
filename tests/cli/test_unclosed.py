"""What warns of things left open does so from stock's place, which filters of warnings match."""

import textwrap

LEFT_OPEN = """
    import asyncio, gc, os, socket, ssl, warnings

    def show(message, category, filename, line, file=None, text=None):
        if not str(message).startswith("unclosed <socket"):
            print(os.path.basename(filename), line, str(message)[:20])

    warnings.simplefilter("always")
    warnings.showwarning = show

    async def main():
        loop = asyncio.get_running_loop()
        mine, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=mine)
        del writer
        gc.collect()
        await asyncio.sleep(0)
        theirs.close()

        mine, theirs = socket.socketpair()
        transport, protocol = await loop.create_connection(asyncio.Protocol, sock=mine)
        transport.pause_reading()
        del transport, protocol
        gc.collect()
        theirs.close()

        protocol = asyncio.sslproto.SSLProtocol(
            loop, asyncio.Protocol(), ssl.create_default_context(), None, server_hostname="here"
        )
        protocol._get_app_transport()
        del protocol
        gc.collect()
        return await asyncio.open_connection(sock=socket.socketpair()[0])

    kept = asyncio.run(main())
    del kept
    gc.collect()
    warnings.filterwarnings("ignore", module=r"asyncio\\.")
    kept = asyncio.run(main())
    del kept
    gc.collect()
"""


def test_what_is_left_open_is_told_from_where_stock_tells_it(workshop):
    workshop.write("open.py", textwrap.dedent(LEFT_OPEN))
    stock, ferrio = (workshop.run(on, "open.py") for on in ("stock", "ferrio"))
    assert ferrio.out == stock.out
    assert stock.out.count("unclosed transport") > 1
    assert (stock.status, ferrio.status) == (0, 0)
