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

FAULTS_OF_LARGE_BLOCKS = """
import resource
{make_loop}
def use_block():
    b"x" * 6_000_000
use_block()
use_block()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use_block()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
loop.close()
"""
STOCK = "import asyncio; loop = asyncio.SelectorEventLoop()"
FERRIO = "import ferrio; loop = ferrio.new_event_loop()"

of_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have other heaps"
)


def answer(program, make_loop):
    program = program.format(make_loop=make_loop)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


@of_glibc
def test_memory_of_a_burst_of_messages_is_kept_for_the_next_burst():
    assert answer(FREED_BY_A_BURST, STOCK) > 500_000, "glibc gave it to the kernel at once"
    assert answer(FREED_BY_A_BURST, FERRIO) == 0


@of_glibc
@pytest.mark.parametrize("make_loop", [STOCK, FERRIO])
def test_memory_of_large_blocks_of_a_program_is_used_again(make_loop):
    assert answer(FAULTS_OF_LARGE_BLOCKS, make_loop) < 1000, "one block has 1465 pages"
