"""Streams of child processes: `create_subprocess_exec` with pipes, under `install()` or not."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest

import ferrio
from ferrio import _ferrio

UPPER = """
import sys
for line in sys.stdin:
    print(line.upper(), end="", flush=True)
"""
COPY = """
import os
while data := os.read(0, 100_000):
    done = 0
    while done < len(data):
        done += os.write(1, data[done:])
"""


@pytest.fixture(params=["stock names", "installed", "names of ferrio"])
def start(request):
    """Start a Python program as a child; its streams are stock's in the first case alone."""
    if request.param == "installed":
        ferrio.install()
    package = ferrio if request.param == "names of ferrio" else asyncio

    async def start(source, *args, **options):
        process = await package.create_subprocess_exec(
            sys.executable, "-c", source, *args, **options
        )
        is_native = type(process._protocol) is _ferrio.SubprocessStreamProtocol
        assert is_native == (request.param != "stock names")
        return process

    yield start
    ferrio.uninstall()


def test_lines_go_back_and_forth(run, start):
    async def main():
        process = await start(UPPER, stdin=PIPE, stdout=PIPE)
        assert isinstance(process.stdout, (asyncio.StreamReader, ferrio.StreamReader))
        assert isinstance(process.stdin, (asyncio.StreamWriter, ferrio.StreamWriter))
        seen = []
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            await process.stdin.drain()
            seen.append(await process.stdout.readline())
        process.stdin.close()
        await process.stdin.wait_closed()
        return seen, await process.stdout.read(), await process.wait()

    assert run(main()) == ([b"ONE\n", b"TWO\n"], b"", 0)


def test_communicate_with_much_in_both_directions(run, start):
    data = bytes(range(256)) * 20_000

    async def main():
        process = await start(COPY, stdin=PIPE, stdout=PIPE)
        return await process.communicate(data)

    assert run(main()) == (data, None)


def test_what_is_said_on_stderr(run, start):
    source = "import os; os.write(2, b'to stderr'); os.write(1, b'to stdout')"

    async def main():
        apart = await start(source, stdout=PIPE, stderr=PIPE)
        together = await start(source, stdout=PIPE, stderr=STDOUT)
        nothing = await start(source, stdout=DEVNULL, stderr=DEVNULL)
        return [await process.communicate() for process in (apart, together, nothing)]

    assert run(main()) == [
        (b"to stdout", b"to stderr"),
        (b"to stderrto stdout", None),
        (None, None),
    ]


def test_the_limit_is_that_of_its_readers(run, start):
    async def main():
        process = await start("print('x' * 100)", stdout=PIPE, limit=50)
        assert process.stdout._limit == 50
        with pytest.raises(ValueError, match="Separator is"):
            await process.stdout.readline()
        rest = await process.stdout.read()
        await process.wait()
        return len(rest) <= 101

    assert run(main())


def test_a_reader_over_its_limit_pauses_the_pipe(run, start):
    async def main():
        process = await start("print('x' * 1_000_000)", stdout=PIPE, limit=1000)
        while not process.stdout._paused:
            await asyncio.sleep(0)
        assert 2000 < len(process.stdout._buffer) < 1_000_000
        received = await process.stdout.readexactly(1_000_001)
        assert await process.stdout.read() == b""
        await process.wait()
        return received

    assert run(main()) == b"x" * 1_000_000 + b"\n"


def test_async_for_over_the_lines_of_a_child(run, start):
    async def main():
        process = await start("for n in range(1000): print(n)", stdout=PIPE)
        lines = [int(line) async for line in process.stdout]
        return lines, await process.wait()

    assert run(main()) == (list(range(1000)), 0)


def test_a_child_that_reads_nothing_and_ends(run, start):
    async def main():
        process = await start("pass", stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(b"x" * 1_000_000)
        return output, process.returncode

    assert run(main()) == (b"", 0)


def test_a_pipe_that_is_broken_is_told_by_drain(run, start):
    async def main():
        process = await start("import os; os.close(0); input = None", stdin=PIPE)
        await process.wait()

        async def write():
            for _ in range(100):
                process.stdin.write(b"x" * 100_000)
                await process.stdin.drain()

        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await write()
        process.stdin.close()

    run(main())


def test_the_writer_of_a_child_has_no_reader(run, start):
    async def main():
        process = await start("input()", stdin=PIPE)
        shown = repr(process.stdin)
        seen = process.stdin._reader, "reader=" in shown, process.stdin.can_write_eof()
        process.stdin.write(b"\n")
        process.stdin.write_eof()
        await process.wait()
        return seen, type(process.stdin._protocol).__name__

    assert run(main()) == ((None, False, True), "SubprocessStreamProtocol")


def test_a_shell_under_the_name_of_ferrio(run):
    async def main():
        process = await ferrio.create_subprocess_shell("tr a-z A-Z", stdin=PIPE, stdout=PIPE)
        assert type(process) is asyncio.subprocess.Process
        return await process.communicate(b"text")

    assert run(main()) == (b"TEXT", None)


@pytest.mark.parametrize("name", ["create_subprocess_exec", "create_subprocess_shell"])
def test_ferrios_functions_are_called_as_stocks(name):
    of_stock, of_ferrio = getattr(asyncio, name), getattr(ferrio, name)
    code = of_ferrio.__code__
    assert (
        code.co_varnames[: code.co_argcount]
        == (of_stock.__code__.co_varnames[: of_stock.__code__.co_argcount])
    )
    assert code.co_kwonlyargcount == of_stock.__code__.co_kwonlyargcount
    assert of_ferrio.__defaults__ == of_stock.__defaults__
    assert of_ferrio.__kwdefaults__ == of_stock.__kwdefaults__
