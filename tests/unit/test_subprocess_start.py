"""Starting subprocesses: every keyword of Popen, shells, wrong arguments, the environment."""

import asyncio
import fcntl
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest
from descriptors import open_descriptors

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture
def output(loop, run):
    """What a program writes, given these keywords: (status, output, errors)."""

    async def main(args, kwargs):
        process = await asyncio.create_subprocess_exec(
            *args, **{"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, **kwargs}
        )
        written, errors = await process.communicate()
        return process.returncode, written, errors

    def of(*args, **kwargs):
        return run(main(args, kwargs))

    return of


def shell(source):
    return "/bin/sh", "-c", source


def test_arguments_of_every_kind(output):

    assert output("/bin/echo", "text", b"bytes", pathlib.Path("path")) == (
        0,
        b"text bytes path\n",
        b"",
    )
    assert output(pathlib.Path("/bin/echo"), "x") == (0, b"x\n", b"")
    assert output(b"/bin/echo", "\u00e9")[1] == "\u00e9\n".encode()
    assert output("echo", "found in PATH")[1] == b"found in PATH\n"


def test_a_shell_command(loop, run):
    async def main():
        process = await asyncio.create_subprocess_shell("echo $0; exit 3", stdout=PIPE)
        written, _ = await process.communicate()
        return process.returncode, written

    status, written = run(main())
    assert status == 3
    assert written.strip().endswith(b"sh")


def test_the_executable_may_differ_from_the_first_argument(output):
    assert output("a name", "-c", "echo $0", executable="/bin/sh")[1] == b"a name\n"


def test_cwd_and_env(output, tmp_path):
    assert output(*shell("pwd"), cwd=tmp_path)[1] == os.fsencode(tmp_path) + b"\n"
    status, written, _ = output("/usr/bin/env", env={"ONLY": "this"})
    assert (status, written) == (0, b"ONLY=this\n")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_to_a_file_to_nowhere_and_to_stdout(output, name):
    source = "echo out; echo err >&2"
    own, other = (1, 2) if name == "stdout" else (2, 1)
    with tempfile.TemporaryFile() as file:
        result = output(*shell(source), **{name: file})
        assert result[own] is None
        assert result[other] == (b"err\n" if name == "stdout" else b"out\n")
        file.seek(0)
        assert file.read() == (b"out\n" if name == "stdout" else b"err\n")
        descriptor = output(*shell(source), **{name: file.fileno()})
        assert descriptor[own] is None
    assert output(*shell(source), **{name: DEVNULL})[own] is None
    assert output(*shell(source), stderr=STDOUT) == (0, b"out\nerr\n", None)


def test_input_from_a_file(output):
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)
        assert output("/bin/cat", stdin=file)[1] == b"content"


def test_inherited_streams(run_python):
    result = run_python(
        """
        async def main():
            process = await asyncio.create_subprocess_shell("echo out; echo err >&2")
            return await process.wait()

        loop = new_loop()
        print("status", loop.run_until_complete(main()))
        loop.close()
        """
    )
    assert sorted(result.stdout.split("\n")) == ["", "out", "status 0"]
    assert result.stderr == "err\n"


def test_pass_fds_and_close_fds(output):
    reading, writing = os.pipe()
    try:
        source = f"import os; os.write({writing}, b'x')"
        python = (sys.executable, "-c", source)
        assert output(*python)[0] == 1
        assert output(*python, pass_fds=[writing])[0] == 0
        assert os.read(reading, 10) == b"x"
        os.set_inheritable(writing, True)
        assert output(*python, close_fds=True)[0] == 1
        assert output(*python, close_fds=False)[0] == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_child_inherits_no_descriptor_of_the_loop(engine):
    source = "import os; print([fd for fd in os.listdir('/proc/self/fd') if os.path.exists(fd)])"
    source = source.replace("exists(fd)", "exists('/proc/self/fd/' + fd)")
    command = [sys.executable, "-c", source]
    own = subprocess.run(command, close_fds=False, stdout=PIPE, stdin=DEVNULL).stdout

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        udp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, address)
        kwargs = {"stdin": DEVNULL, "stdout": PIPE, "close_fds": False}
        process = await asyncio.create_subprocess_exec(*command, **kwargs)
        inherited, _ = await process.communicate()
        for made in (server, transport, udp):
            made.close()
        for _ in range(5):
            await asyncio.sleep(0)
        return inherited

    with asyncio.Runner(loop_factory=engine.new_loop) as runner:
        assert runner.run(main()) == own


def test_sessions_and_process_groups(output):
    source = "import os; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())"
    python = (sys.executable, "-c", source)
    assert output(*python)[1] == b"False False\n"
    assert output(*python, start_new_session=True)[1] == b"True True\n"
    assert output(*python, process_group=0)[1] == b"False True\n"


def test_umask_and_restored_signals(output, tmp_path):
    assert output(*shell("umask"), umask=0o027)[1].strip() == b"0027"
    source = "import signal; print(signal.getsignal(signal.SIGXFSZ) is signal.SIG_DFL)"
    assert output(sys.executable, "-c", source, restore_signals=False)[0] == 0


def test_preexec_fn(output):
    def before():
        os.write(1, b"before ")

    assert output("/bin/echo", "after", preexec_fn=before)[1] == b"before after\n"


def test_an_error_in_preexec_fn_is_raised_and_leaves_nothing(same_as_stock):
    def scenario(loop, _):
        def before():
            raise ValueError("of the program")

        async def main():
            await asyncio.create_subprocess_exec("/bin/true", preexec_fn=before, stdout=PIPE)

        descriptors = open_descriptors()
        try:
            loop.run_until_complete(main())
        except subprocess.SubprocessError as exc:
            found = type(exc), str(exc)
        assert open_descriptors().items() <= descriptors.items()
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return found

    assert same_as_stock(scenario) == (
        "returned",
        (subprocess.SubprocessError, "Exception occurred in preexec_fn."),
    )


@ROOT
def test_user_group_and_extra_groups(output):
    result = output("/usr/bin/id", "-G", user=65534, group=65533, extra_groups=[65532, 65531])
    assert result[0] == 0
    assert set(result[1].split()) == {b"65533", b"65532", b"65531"}
    assert output("/usr/bin/id", "-u", user="nobody")[1].strip() != b"0"


@pytest.mark.parametrize("size", [4096, 65536])
def test_pipesize(output, size):
    source = f"import fcntl; print(fcntl.fcntl(1, {fcntl.F_GETPIPE_SZ}))"
    assert int(output(sys.executable, "-c", source, pipesize=size)[1]) == size


WRONG = [
    {"universal_newlines": True},
    {"text": True},
    {"encoding": "utf-8"},
    {"errors": "strict"},
    {"bufsize": 1},
    {"shell": True},
    {"shell": False},
    {"unknown": 1},
    {"stdin": STDOUT},
    {"stdout": "name"},
    {"cwd": "/nowhere"},
    {"env": {"key": 5}},
    {"pass_fds": [-1]},
    {"umask": "x"},
    {"user": "no such user of this machine"},
    {"executable": "/nowhere"},
    {"pass_fds": [1], "close_fds": False},
]


@pytest.mark.parametrize("method", ["subprocess_exec", "subprocess_shell"])
@pytest.mark.parametrize("number", range(len(WRONG)))
@pytest.mark.filterwarnings("ignore:pass_fds overriding close_fds:RuntimeWarning")
def test_wrong_keywords_raise_what_stock_raises(same_as_stock, method, number):
    def scenario(loop, _):
        async def main():
            protocol = asyncio.SubprocessProtocol
            transport, _ = await getattr(loop, method)(protocol, "/bin/true", **WRONG[number])
            transport.close()
            await transport._wait()

        before = open_descriptors()
        try:
            loop.run_until_complete(main())
            found = "returned", None
        except Exception as exc:
            text = str(exc).replace("_UnixSubprocessTransport", "SubprocessTransport")
            found = type(exc), text
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
        assert open_descriptors().items() <= before.items()
        return found

    assert same_as_stock(scenario)[0] == "returned"


@pytest.mark.parametrize("args", [(), (5,), ("/bin/echo", 5), ("nul\0inside",), ("",), ([],)])
def test_wrong_arguments_raise_what_stock_raises(same_as_stock, args):
    def scenario(loop, _):
        async def main():
            await loop.subprocess_exec(asyncio.SubprocessProtocol, *args)

        try:
            loop.run_until_complete(main())
        except Exception as exc:
            return type(exc), str(exc).replace("BaseEventLoop", "EventLoop")

    kind, (exception, _) = same_as_stock(scenario)
    assert kind == "returned"
    assert issubclass(exception, Exception)


@pytest.mark.parametrize("command", [5, None, ["ls"]])
def test_a_shell_command_that_is_no_text_raises(same_as_stock, command):
    def scenario(loop, _):
        coroutine = loop.subprocess_shell(asyncio.SubprocessProtocol, command)
        try:
            loop.run_until_complete(coroutine)
        except ValueError as exc:
            return str(exc)

    assert same_as_stock(scenario) == ("returned", "cmd must be a string")


@pytest.mark.parametrize("kind", ["exec", "shell"])
def test_starting_is_logged_in_debug_mode_without_the_arguments(loop, run, caplog, kind):
    caplog.set_level(logging.DEBUG, logger="asyncio")

    async def main():
        loop.set_debug(True)
        if kind == "exec":
            starting = asyncio.create_subprocess_exec("/bin/echo", "secret", stdout=DEVNULL)
        else:
            starting = asyncio.create_subprocess_shell("true", stdout=DEVNULL)
        process = await starting
        await process.wait()
        loop.set_debug(False)

    run(main())
    text = "execute program '/bin/echo'" if kind == "exec" else "run shell command 'true'"
    texts = [record.getMessage() for record in caplog.records]
    assert f"{text} stdout={DEVNULL}" in texts
    assert any(line.startswith(f"{text}") and ": <" in line for line in texts)
    assert any("exited with return code 0" in line for line in texts)
    assert not any("secret" in line for line in texts)


def test_fork_hooks_are_not_run_for_a_subprocess(run_python):
    result = run_python(
        """
        import os

        os.register_at_fork(before=lambda: print("before", flush=True))
        loop = new_loop()

        async def main():
            process = await asyncio.create_subprocess_exec("/bin/true")
            return await process.wait()

        print(loop.run_until_complete(main()))
        loop.close()
        """
    )
    assert result.stdout == "0\n"
    assert result.stderr == ""


def test_a_child_has_pythons_default_signals(output):
    # SIGPIPE is ignored by Python itself, and restored for the child.
    source = "import signal; print(signal.getsignal(signal.SIGPIPE))"
    status, _, _ = output(*shell("kill -PIPE $$"))
    assert status == -signal.SIGPIPE
    assert output(sys.executable, "-c", source)[0] == 0
