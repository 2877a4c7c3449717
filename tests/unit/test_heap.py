"""What glibc does with the memory of messages once they are answered: see loop_state/heap.rs."""

import platform
import subprocess
import sys

import pytest

FREED_BY_A_BURST = """
import ctypes
{make_loop}
end_of_heap = ctypes.CDLL(None).sbrk
end_of_heap.restype = ctypes.c_void_p
messages = [bytes(10_000) for _ in range(300)]
before = end_of_heap(0)
messages.clear()
print(before - end_of_heap(0))
loop.close()
"""


def freed_by_a_burst(make_loop):
    program = FREED_BY_A_BURST.format(make_loop=make_loop)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other heaps")
def test_memory_of_a_burst_of_messages_is_kept_for_the_next_burst():
    stock = "import asyncio; loop = asyncio.SelectorEventLoop()"
    assert freed_by_a_burst(stock) > 500_000, "glibc gave it to the kernel at once"
    assert freed_by_a_burst("import ferrio; loop = ferrio.new_event_loop()") == 0
