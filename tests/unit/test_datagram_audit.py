"""The audit event of a datagram that a transport sends."""


def test_a_hook_sees_where_a_datagram_goes_and_may_forbid_it(run_python):
    program = """
        import socket, sys

        def hook(event, arguments):
            if event == "socket.sendto" and arguments[1][0] == "127.0.0.2":
                raise RuntimeError("forbidden")
            if event == "socket.sendto":
                print(type(arguments[0]).__name__, arguments[1] == there)

        class Protocol(asyncio.DatagramProtocol):
            def connection_lost(self, exc):
                print("lost", exc)

        async def main():
            global there
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: print(context["message"]))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
                receiver.bind(("127.0.0.1", 0))
                there = receiver.getsockname()
                transport, _ = await loop.create_datagram_endpoint(
                    Protocol, local_addr=("127.0.0.1", 0)
                )
                sys.addaudithook(hook)
                transport.sendto(b"data", there)
                print(receiver.recv(10))
                transport.sendto(b"data", ("127.0.0.2", 9))
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "socket True",
        "b'data'",
        "Fatal write error on datagram transport",
        "lost forbidden",
    ]
