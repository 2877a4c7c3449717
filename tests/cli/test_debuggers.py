"""Debuggers step over what a native future gives as over what stock's gives."""

import textwrap

STEPS = """
    import asyncio, io, pdb, sys

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(0.01, future.set_result, 42)
        pdb.Pdb(stdin=io.StringIO("n\\nn\\nn\\nn\\nc\\n"), stdout=sys.stdout).set_trace()
        one = await future
        two = await asyncio.gather(asyncio.sleep(0.01, 7))
        print(one, two)

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
            loop.call_later(0.001, future.set_result, number)
            assert await future == number
        assert await asyncio.sleep(0.001, "slept") == "slept"

    sys.settrace(trace)
    asyncio.run(main())
    sys.settrace(None)
    print(seen - {StopIteration})
"""


def test_pdb_steps_over_an_await(workshop):
    workshop.write("steps.py", textwrap.dedent(STEPS))
    stock, ferrio = (workshop.run(on, "steps.py") for on in ("stock", "ferrio"))
    assert (ferrio.status, ferrio.out) == (stock.status, stock.out)
    assert "Internal StopIteration" not in ferrio.out


def test_a_tracer_sees_the_interpreters_own_stop_iteration(workshop):
    workshop.write("raised.py", textwrap.dedent(RAISED))
    assert workshop.run_both("raised.py").out == "set()\n"
