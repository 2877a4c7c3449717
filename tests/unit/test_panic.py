"""A panic in Rust reaches Python as an exception and leaves the interpreter whole."""

import asyncio

import pytest

import ferrio
from ferrio import _ferrio


def test_a_panic_becomes_an_exception_with_its_message() -> None:
    with pytest.raises(SystemError, match="^Rust panic: it broke$"):
        _ferrio._panic("it broke")


def test_a_loop_goes_on_after_a_callback_that_panicked() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        reported: list[str] = []
        loop.set_exception_handler(
            lambda _, context: reported.append(type(context["exception"]).__name__)
        )
        loop.call_soon(_ferrio._panic, "it broke")
        await asyncio.sleep(0)
        return reported

    assert ferrio.run(main()) == ["SystemError"]
