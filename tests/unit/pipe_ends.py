"""Pipes whose one end a loop connects, and whose other end a test holds."""

import io
import os


class Ends:
    """The two ends of a new pipe: what the loop connects, and the other one's descriptor."""

    def __init__(self, end):
        reading, writing = os.pipe()
        read = end == "read"
        self.pipe = io.FileIO(reading, "r") if read else io.FileIO(writing, "w")
        self.far = writing if read else reading
        self.fd = self.pipe.fileno()

    def read(self, size=1 << 20):
        return os.read(self.far, size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.far is not None:
            os.close(self.far)
            self.far = None


async def connect(trace, end, **hooks):
    """Connect one end of a new pipe to a recording protocol; return transport and ends."""
    ends = Ends(end)
    protocol = trace.protocol("near", **hooks)
    method = getattr(trace.loop, f"connect_{end}_pipe")
    transport, made = await method(lambda: protocol, ends.pipe)
    assert made is protocol
    return transport, ends


def fill(transport):
    """Write until more is buffered than the high water mark; how much was written."""
    written = 0
    while transport.get_write_buffer_size() <= transport.get_write_buffer_limits()[1]:
        transport.write(b"x" * 65536)
        written += 65536
    return written
