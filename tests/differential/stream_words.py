"""The part of the grammar that speaks of streams.

A program with streams has both ends of one connection, `r0, w0` and `r1, w1`, and a reader `r2`
that the program feeds itself. Two tasks that read from one reader, a writer that is closed
under those who wait, and a buffer that is changed in place are all part of it.

A loop may keep what is written until the turn ends (docs/compatibility.md), when a peer on the same
loop may have closed. So in a program in which ends are closed, `write` of stage.py has each write
sent at once.
"""

import sys

LIMITS = (16, 4, 1, 65536)
DATA = (
    'b"ab\\n"',
    'b"c"',
    'b"defgh"',
    'b"\\n\\nab"',
    'b""',
    'b"x" * 40',
    'b"y" * 300_000',
    'bytearray(b"ab--")',
)
SEPARATORS = ['b"c"', 'b"b"', 'b"gh"', 'b"--"', 'b"\\n\\n"', 'b""']
if sys.version_info >= (3, 13):
    SEPARATORS += ['(b"h", b"ab")', '(b"b\\n", b"\\n", b"ab\\n")', "()"]
# docs/compatibility.md: there, stock's writelines pauses nobody, and keeps empty pieces for ever.
WRITELINES_IS_BROKEN = (3, 12) <= sys.version_info < (3, 12, 9) or (
    (3, 13) <= sys.version_info < (3, 13, 2)
)
SIZES = {"read": (3, 1, 16, 0, -1), "readexactly": (4, 1, 17, 41, 0)}


class StreamWords:
    """What an Author says about streams. `connection` is how both ends were made."""

    connection = None
    closes = False

    def stream_lines(self):
        """What makes the streams of the program, before anything runs."""
        lines = []
        if self.connection:
            lines.append(f"r0, w0, r1, w1 = loop.run_until_complete({self.connection})")
        return lines

    def connect(self):
        if self.connection is None:
            limit = self.pick(LIMITS)
            how = self.pick(("stream_pair", "stream_pair", "served_pair"))
            before = ", before" if "mixed" in self.features and self.choose(2) else ""
            self.connection = f"{how}({limit}{before})"
            self.closes = bool(self.choose(2))

    def reader(self):
        number = self.choose(6)
        if number < 5:
            self.connect()
            return f"r{number % 2}"
        if "r2" not in self.shared:
            maker = f"{self.namespace()}.StreamReader({self.pick(LIMITS)}, loop)"
            self.shared["r2"] = f"r2 = {maker}"
        return "r2"

    def writer(self):
        self.connect()
        return f"w{self.choose(2)}"

    def reading(self):
        """A call that reads, to be awaited."""
        reader = self.reader()
        kind = self.choose(7)
        if kind < 2:
            return f"{reader}.readline()"
        if kind < 4:
            return f"{reader}.readuntil({self.pick(SEPARATORS)})"
        if kind == 6 and self.rarely(3):
            return f"{reader}._wait_for_data('own')"
        method = ("read", "readexactly")[kind % 2]
        return f"{reader}.{method}({self.pick(SIZES[method])})"

    def use_streams(self):
        kind = self.choose(12)
        if kind < 3:
            self.write_some()
        elif kind < 5:
            self.log(f"await {self.reading()}")
        elif kind == 5:
            name = f"c{self.label()}"
            self.put(f"{name} = asyncio.create_task({self.reading()})")
            self.children.append(name)
        elif kind == 6:
            self.attempt(self.writer_call())
        elif kind == 7:
            self.feed()
        elif kind == 8:
            self.look_at_streams()
        elif kind == 9:
            self.put(f"await {self.writer()}.{self.pick(('drain', 'wait_closed'))}()")
            self.log('"waited"')
        elif kind == 10:
            self.change_buffer()
        else:
            with self.inside(f"async for line in {self.reader()}:"):
                self.log("line")

    def write_some(self):
        writer = self.writer()
        if self.rarely(5) and not WRITELINES_IS_BROKEN:
            self.put(f"{writer}.writelines([{self.pick(DATA)}, {self.pick(DATA)}])")
        else:
            written = self.pick(DATA)
            self.put(f"write({writer}, {written})" if self.closes else f"{writer}.write({written})")
        if self.choose(2):
            self.put(f"await {writer}.drain()")
            self.log('"drained"')

    def writer_call(self):
        writer = self.writer()
        if self.closes and self.rarely(3):
            return f"abort({writer})" if self.choose(2) else f"{writer}.close()"
        calls = (
            "write_eof()",
            "is_closing()",
            "can_write_eof()",
            "transport.set_write_buffer_limits(0)",
            "transport.pause_reading()",
            "transport.resume_reading()",
            "transport.get_write_buffer_size()",
        )
        return f"{writer}.{self.pick(calls)}"

    def feed(self):
        """Something that a transport does, done by the program."""
        reader = self.reader()
        kind = self.choose(6)
        if kind < 4:
            self.attempt(f"{reader}.feed_data({self.pick(DATA[:6])})")
        elif kind == 4:
            self.attempt(f"{reader}.feed_eof()")
        else:
            self.attempt(f"{reader}.set_exception({self.error()})")

    def look_at_streams(self):
        reader = self.reader()
        looks = (
            f"bytes({reader}._buffer), {reader}._eof",
            f"{reader}.at_eof(), {reader}._paused",
            f"{reader}._waiter, {reader}.exception()",
            f"repr({reader})",
        )
        self.log(self.pick(looks))

    def change_buffer(self):
        reader = self.reader()
        changes = (
            f"del {reader}._buffer[:2]",
            f"{reader}._buffer.extend(b'+\\n')",
            f"{reader}._buffer = bytearray(b'new')",
            f"{reader}._limit = 3",
        )
        self.put(self.pick(changes))

    def stream_actions(self, label):
        """What a callback may do to streams."""
        reader, writer = self.reader(), self.writer()
        actions = [
            f"attempt, {label}, {reader}.feed_data, b'of a callback'",
            f"attempt, {label}, {reader}.feed_eof",
        ]
        if self.closes:
            actions.append(f"attempt, {label}, write, {writer}, b'called\\n'")
            actions.append(f"attempt, {label}, {writer}.close")
        else:
            actions.append(f"attempt, {label}, {writer}.write, b'called\\n'")
        return actions
