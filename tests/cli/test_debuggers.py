"""Debuggers step over what a native future gives as over what stock's gives."""

import sys
import textwrap

import pytest

STEPS = """
    import asyncio, io, pdb, sys

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, 42)
        queue = asyncio.Queue()
        queue.put_nowait(7)
        pdb.Pdb(stdin=io.StringIO("n\\n" * 6 + "c\\n"), stdout=sys.stdout).set_trace()
        one = await future
        two = await queue.get()
        three = await asyncio.gather(asyncio.sleep(0.01, 9))
        print(one, two, three)

    asyncio.run(main())
"""

RAISED = """
    import asyncio, sys

    seen = set()

    def trace(frame, event, argument):
        if event == "exception" and frame.f_code.co_filename == __file__:
            seen.add(argument[0])
        return trace

    async def main():
        loop = asyncio.get_running_loop()
        for number in range(3):
            future = loop.create_future()
            loop.call_soon(future.set_result, number)
            assert await future == number
        assert await asyncio.sleep(0.001, "slept") == "slept"
        queue = asyncio.Queue()
        queue.put_nowait(7)
        assert await queue.get() == 7

    sys.settrace(trace)
    asyncio.run(main())
    sys.settrace(None)
    print(seen - {StopIteration})
"""

MONITORED = """
    import asyncio, sys

    seen = set()

    def raised(code, offset, error):
        if code.co_filename == __file__:
            seen.add(type(error))

    async def main():
        await asyncio.sleep(0.001)  # on 3.12 a monitor is noticed when the loop sleeps
        loop = asyncio.get_running_loop()
        for number in range(3):
            future = loop.create_future()
            loop.call_soon(future.set_result, number)
            assert await future == number
        assert await asyncio.sleep(0.001, "slept") == "slept"

    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.DEBUGGER_ID, "a debugger")
    monitoring.register_callback(monitoring.DEBUGGER_ID, monitoring.events.RAISE, raised)
    monitoring.set_events(monitoring.DEBUGGER_ID, monitoring.events.RAISE)
    asyncio.run(main())
    print(seen)
"""


def test_pdb_steps_over_an_await(workshop):
    workshop.write("steps.py", textwrap.dedent(STEPS))
    stock, ferrio = (workshop.run(on, "steps.py") for on in ("stock", "ferrio"))
    assert (ferrio.status, ferrio.out) == (stock.status, stock.out)
    assert "Internal StopIteration" not in ferrio.out


def test_a_tracer_sees_the_interpreters_own_stop_iteration(workshop):
    workshop.write("raised.py", textwrap.dedent(RAISED))
    assert workshop.run_both("raised.py").out == "set()\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_a_monitor_sees_the_interpreters_own_stop_iteration(workshop):
    workshop.write("monitored.py", textwrap.dedent(MONITORED))
    assert workshop.run_both("monitored.py").out == "{<class 'StopIteration'>}\n"
