"""The classes and functions of streams under test, and what is put beside them: transports that
note what is asked of them, classes that note which of their methods are called."""

import asyncio
import types

import ferrio

NAMES = (
    "StreamReader",
    "StreamWriter",
    "StreamReaderProtocol",
    "open_connection",
    "start_server",
    "open_unix_connection",
    "start_unix_server",
)


def offered(name, package):
    return types.SimpleNamespace(
        name=name, module=package.__name__, **{part: getattr(package, part) for part in NAMES}
    )


STOCK = offered("stock", asyncio)
OFFERED = [STOCK, offered("native", ferrio)]


class NotingTransport(asyncio.Transport):
    """Notes every call; does nothing."""

    def __init__(self, *, can_pause=True, closing=False, extra=None):
        super().__init__(extra)
        self.calls = []
        self.can_pause = can_pause
        self.closing = closing

    def __repr__(self):
        return "<the transport>"

    def pause_reading(self):
        self.calls.append("pause_reading")
        if not self.can_pause:
            raise NotImplementedError

    def resume_reading(self):
        self.calls.append("resume_reading")

    def write(self, data):
        self.calls.append(("write", data))
        return "of write"

    def writelines(self, data):
        self.calls.append(("writelines", data))
        return "of writelines"

    def write_eof(self):
        self.calls.append("write_eof")
        return "of write_eof"

    def can_write_eof(self):
        self.calls.append("can_write_eof")
        return "of can_write_eof"

    def is_closing(self):
        return self.closing

    def close(self):
        self.calls.append("close")
        self.closing = True
        return "of close"

    def abort(self):
        self.calls.append("abort")
        self.closing = True


def noting(base, calls, *names):
    """A subclass of `base` whose methods of these names note each call and its arguments."""

    def method(name):
        if getattr(getattr(base, name, None), "fset", None):
            raise TypeError(f"{name} is a property")

        def call(self, *args, **kwargs):
            calls.append((name, *map(plain, args), *sorted(kwargs.items())))
            return getattr(base, name)(self, *args, **kwargs)

        call.__name__ = name
        return call

    return type(base.__name__, (base,), {name: method(name) for name in names})


def plain(value):
    """The value, or the name of its class where only that is the same in each run."""
    if isinstance(value, (str, bytes, int, type(None), BaseException)):
        return value
    return type(value).__name__


def state(reader):
    """What a program can see of a reader without waiting."""
    return {
        "buffer": bytes(reader._buffer),
        "eof": reader._eof,
        "at_eof": reader.at_eof(),
        "paused": reader._paused,
        "waits": reader._waiter is not None,
        "exception": reader.exception(),
        "transport": reader._transport,
    }
