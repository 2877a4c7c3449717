"""install, uninstall, run, Runner and the policy, seen from inside one process."""

import asyncio
import sys
import threading
import warnings
from asyncio import new_event_loop as imported_early

import pytest

import ferrio

has_policies = pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies warn from 3.14 on")


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def restored_policy():
    before = asyncio.events._event_loop_policy
    yield
    ferrio.uninstall()
    asyncio.events._event_loop_policy = before


def serves(loop: asyncio.AbstractEventLoop) -> bool:
    loop.close()
    return isinstance(loop, ferrio.EventLoop)


def test_importing_ferrio_changes_nothing():
    assert not serves(asyncio.run(running_loop()))
    assert not serves(asyncio.new_event_loop())


def test_install_reaches_every_entry_point_also_those_imported_before():
    ferrio.install()
    assert serves(asyncio.run(running_loop()))
    assert serves(asyncio.new_event_loop())
    assert serves(imported_early())
    with asyncio.Runner(debug=True) as runner:
        assert isinstance(runner.get_loop(), ferrio.EventLoop)
        assert runner.get_loop().get_debug()


def test_install_reaches_every_thread():
    ferrio.install()
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(running_loop())))
    thread.start()
    thread.join()
    assert serves(found[0])


def test_uninstall_puts_back_what_install_found():
    before = asyncio.events._event_loop_policy
    names = {name: getattr(asyncio, name) for name in asyncio.__all__ if "olicy" not in name}
    ferrio.install()
    ferrio.uninstall()
    if before is not None:
        assert asyncio.events._event_loop_policy is before
    assert all(getattr(asyncio, name) is value for name, value in names.items())
    assert not serves(asyncio.new_event_loop())


def test_both_may_be_called_again():
    ferrio.uninstall()
    ferrio.install()
    policy = asyncio.events._event_loop_policy
    ferrio.install()
    assert asyncio.events._event_loop_policy is policy
    ferrio.uninstall()
    ferrio.uninstall()
    assert not serves(asyncio.new_event_loop())


@has_policies
def test_uninstall_puts_back_a_policy_of_the_program():
    own = asyncio.DefaultEventLoopPolicy()
    asyncio.set_event_loop_policy(own)
    ferrio.install()
    assert serves(asyncio.new_event_loop())
    ferrio.uninstall()
    assert asyncio.get_event_loop_policy() is own


@has_policies
def test_a_policy_set_after_install_wins_and_stays():
    ferrio.install()
    own = asyncio.DefaultEventLoopPolicy()
    asyncio.set_event_loop_policy(own)
    assert not serves(asyncio.new_event_loop())
    ferrio.uninstall()
    assert asyncio.get_event_loop_policy() is own


@has_policies
def test_a_ferrio_policy_that_the_program_set_is_not_taken_away():
    own = ferrio.EventLoopPolicy()
    asyncio.set_event_loop_policy(own)
    ferrio.install()
    ferrio.uninstall()
    assert asyncio.get_event_loop_policy() is own
    assert serves(asyncio.new_event_loop())


@has_policies
def test_get_event_loop_makes_a_ferrio_loop_where_stock_makes_one():
    ferrio.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert serves(asyncio.get_event_loop())


def test_nothing_warns_on_any_python():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ferrio.install()
        ferrio.EventLoopPolicy()
        assert serves(asyncio.new_event_loop())
        ferrio.uninstall()


def test_run_gives_the_result_and_closes_the_loop():
    loop = ferrio.run(running_loop())
    assert isinstance(loop, ferrio.EventLoop)
    assert loop.is_closed()


def test_run_takes_debug():
    async def debug() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert ferrio.run(debug(), debug=True) is True
    assert ferrio.run(debug(), debug=False) is False


def error_of(call) -> tuple[type, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            call()
        except (RuntimeError, TypeError, ValueError) as error:
            return type(error), str(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("argument", [None, 3, len, running_loop])
def test_run_refuses_what_asyncio_run_refuses(argument):
    assert error_of(lambda: ferrio.run(argument)) == error_of(lambda: asyncio.run(argument))


def test_run_refuses_to_run_inside_a_running_loop():
    async def nested(run) -> tuple[type, str]:
        return error_of(lambda: run(running_loop()))

    assert asyncio.run(nested(ferrio.run)) == asyncio.run(nested(asyncio.run))
    assert ferrio.run(nested(ferrio.run)) == asyncio.run(nested(asyncio.run))


def test_run_cancels_what_is_left_and_closes_generators():
    seen = []

    async def left_behind() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async def numbers():
        try:
            yield 1
        finally:
            seen.append("closed")

    async def main() -> None:
        seen.append(asyncio.create_task(left_behind(), name="left"))
        await asyncio.sleep(0)
        seen.append(await anext(numbers()))

    ferrio.run(main())
    assert seen[0].cancelled()
    assert sorted(map(str, seen[1:])) == ["1", "cancelled", "closed"]


def test_runner_takes_another_factory():
    with ferrio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert not isinstance(runner.get_loop(), ferrio.EventLoop)
    with ferrio.Runner() as runner:
        assert isinstance(runner, asyncio.Runner)
        assert runner.run(running_loop()) is runner.get_loop()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run has loop_factory from 3.12 on")
def test_asyncio_run_takes_our_factory():
    assert serves(asyncio.run(running_loop(), loop_factory=ferrio.new_event_loop))


def test_the_loop_is_an_asyncio_loop():
    loop = ferrio.new_event_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    assert type(loop) is ferrio.EventLoop
    assert f"{ferrio.EventLoop}" == "<class 'ferrio.EventLoop'>"
    loop.close()
