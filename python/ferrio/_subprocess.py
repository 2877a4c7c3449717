"""Subprocesses: asyncio's own transport, with its child watched by the loop's reactor, and native
streams over its pipes.

A child watcher that the program has chosen is asked as asyncio asks it. The one that asyncio takes
by default is not: before 3.12 that one starts a thread for each child.
"""

import asyncio
import functools
import sys
import threading
from asyncio import events, unix_events
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Any

from ferrio import _ferrio

# Names that type stubs lack.
_unix: Any = unix_events


_DEFAULT_LIMIT = 64 * 1024  # bytes; asyncio.streams._DEFAULT_LIMIT


@functools.wraps(asyncio.create_subprocess_exec)
async def create_subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """Start a child process; see asyncio.create_subprocess_exec()."""
    loop = events.get_running_loop()
    pipes = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    transport, protocol = await loop.subprocess_exec(
        lambda: _ferrio.SubprocessStreamProtocol(limit, loop), program, *args, **pipes, **kwds
    )
    return Process(transport, protocol, loop)


@functools.wraps(asyncio.create_subprocess_shell)
async def create_subprocess_shell(
    cmd: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """Start a shell with a command; see asyncio.create_subprocess_shell()."""
    loop = events.get_running_loop()
    pipes = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    transport, protocol = await loop.subprocess_shell(
        lambda: _ferrio.SubprocessStreamProtocol(limit, loop), cmd, **pipes, **kwds
    )
    return Process(transport, protocol, loop)


class Subprocesses(asyncio.SelectorEventLoop):
    """The part of `ferrio.EventLoop` that starts child processes."""

    # From _ferrio.EventLoop.
    _watch_child: Callable[..., None]
    # From asyncio, whose type stubs lack them.
    _child_watcher_callback: Callable[[int, int, Any], None]
    _watcher: Any

    async def _make_subprocess_transport(
        self, protocol: asyncio.BaseProtocol, *args: Any, **kwargs: Any
    ) -> Any:
        """Start a child process; return its transport when its pipes are connected."""
        watcher = _default_watcher(self)
        if watcher is None:
            inherited: Any = super()
            return await inherited._make_subprocess_transport(protocol, *args, **kwargs)
        connected = self.create_future()
        transport = _unix._UnixSubprocessTransport(
            self, protocol, *args, waiter=connected, **kwargs
        )
        _watch(self, transport, watcher)
        try:
            await connected
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await _end_of(transport)
            raise
        return transport


if sys.version_info >= (3, 14):

    def _default_watcher(loop: Subprocesses) -> Any:
        """The loop's child watcher when it is one that a pidfd of ours can replace."""
        watcher = loop._watcher
        return watcher if type(watcher) is _unix._PidfdChildWatcher else None

    def _end_of(transport: Any) -> Any:
        return asyncio.shield(transport._wait())

else:

    def _end_of(transport: Any) -> Any:
        return transport._wait()


if (3, 12) <= sys.version_info < (3, 14):

    def _default_watcher(loop: Subprocesses) -> Any:
        """The policy's child watcher when it is one that a pidfd of ours can replace.

        It is read past `get_child_watcher`, which warns. To silence that takes 19 µs a child, and
        makes the interpreter forget which warnings it has shown.
        """
        policy: Any = events.get_event_loop_policy()
        default_policy = _unix._UnixDefaultEventLoopPolicy
        method = getattr(policy.get_child_watcher, "__func__", None)
        if method is not default_policy.get_child_watcher:
            return None
        if policy._watcher is None:
            policy._init_watcher()
        watcher = policy._watcher
        return watcher if type(watcher) is _unix.PidfdChildWatcher else None


if sys.version_info >= (3, 12):

    def _watch(loop: Subprocesses, transport: Any, watcher: Any) -> None:
        loop._watch_child(transport)

else:

    def _default_watcher(loop: Subprocesses) -> Any:
        """The policy's child watcher when it is one that a pidfd of ours can replace."""
        watcher = events.get_child_watcher()
        return watcher if type(watcher) is _unix.ThreadedChildWatcher else None

    def _watch(loop: Subprocesses, transport: Any, watcher: Any) -> None:
        """A thread waits for the child where no pidfd can, or when the loop no longer does."""
        try:
            loop._watch_child(transport, _waits_in_thread(loop, watcher))
        except OSError:
            callback = loop._child_watcher_callback
            watcher.add_child_handler(transport.get_pid(), callback, transport)

    def _waits_in_thread(loop: Subprocesses, watcher: Any) -> Callable[[Any], None]:
        def wait(transport: Any) -> None:
            pid = transport.get_pid()
            watcher._threads[pid] = thread = threading.Thread(
                target=watcher._do_waitpid,
                name=f"asyncio-waitpid-{next(watcher._pid_counter)}",
                args=(loop, pid, loop._child_watcher_callback, (transport,)),
                daemon=True,
            )
            thread.start()

        return wait
