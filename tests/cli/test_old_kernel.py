"""Programs where system calls newer than Linux 5.0 are unknown, or forbidden by a sandbox."""

import errno

import pytest

# seccomp(2): a program of classic BPF over `struct seccomp_data`, which begins with the call's
# number. From pidfd_send_signal (424, Linux 5.1) on the numbers are the same on all machines.
OLD_KERNEL = """
    import ctypes, struct

    LOAD, JUMP_IF_GREATER_OR_EQUAL, RETURN = 0x20, 0x35, 0x06
    ALLOW, FAIL = 0x7FFF0000, 0x00050000
    PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2

    def refuse(first_call, error):
        rules = [
            (LOAD, 0, 0, 0),
            (JUMP_IF_GREATER_OR_EQUAL, 0, 1, first_call),
            (RETURN, 0, 0, FAIL | error),
            (RETURN, 0, 0, ALLOW),
        ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
        filter = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
        libc = ctypes.CDLL(None, use_errno=True)
        prctl = libc.prctl
        prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
        mode = SECCOMP_MODE_FILTER, ctypes.addressof(filter)
        for option, *arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, *mode)]:
            if prctl(option, *arguments, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")
        EPOLL_PWAIT2 = 441
        assert libc.syscall(EPOLL_PWAIT2, -1, None, 0, None, None) == -1
        assert ctypes.get_errno() == error
"""

PROGRAM = """
    import asyncio, os, signal, time
    from old_kernel import refuse

    refuse({first_call}, {error})

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def main():
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(60):
            for number in range(20):
                writer.write(b"line %d\\n" % number)
                print(await reader.readline())
        writer.close()
        server.close()

        ends = [os.pipe() for _ in range(200)]
        seen = loop.create_future()
        read = []

        def readable(end):
            loop.remove_reader(end)
            read.append(end)
            if len(read) == len(ends):
                seen.set_result(None)

        for end, _ in ends:
            loop.add_reader(end, readable, end)
        for _, end in ends:
            os.write(end, b"x")
        await seen
        print(read == [end for end, _ in ends])

        started = time.monotonic()
        await asyncio.gather(*(asyncio.sleep(number / 2000) for number in range(100)))
        print(time.monotonic() - started >= 0.0494)
        try:
            async with asyncio.timeout(0.0105):
                await asyncio.Event().wait()
        except TimeoutError:
            print("out of time")

        signalled = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, signalled.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await signalled.wait()
        print(await asyncio.to_thread(time.sleep, 0.01))
        command = "read line; echo $line; exit 7"
        child = await asyncio.create_subprocess_exec("sh", "-c", command, stdin=-1, stdout=-1)
        print(await child.communicate(b"to a child\\n"), child.returncode)

    asyncio.run(main())
"""

# A sandbox that said EPERM to clone3 (435) would leave glibc without threads.
SYSTEMS = {"a kernel": (424, errno.ENOSYS), "a sandbox": (436, errno.EPERM)}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_program_where_newer_calls_are_refused(workshop, system):
    first_call, error = SYSTEMS[system]
    workshop.write("old_kernel.py", OLD_KERNEL)
    workshop.write("program.py", PROGRAM.format(first_call=first_call, error=error))
    outcome = workshop.run_both("program.py")
    assert outcome.status == 0
    assert outcome.out.endswith("True\nTrue\nout of time\nNone\n(b'to a child\\n', None) 7\n")
