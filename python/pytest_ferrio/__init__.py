"""The option `--ferrio` of pytest: the tests that pytest-asyncio runs get Ferrio loops.

pytest loads this in every run where Ferrio is installed. So it is a package of its own, because
importing anything of `ferrio` loads the extension: without the option this does nothing and imports
neither that nor asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FerrioLoops", "FerrioPolicy"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("ferrio")
    group.addoption(
        "--ferrio",
        action="store_true",
        default=False,
        help="run asynchronous tests (pytest-asyncio) on Ferrio's event loop",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """With the option, answer where pytest-asyncio asks for loops."""
    if not config.getoption("--ferrio"):
        return
    if not config.pluginmanager.hasplugin("asyncio"):
        raise pytest.UsageError("--ferrio is for tests that pytest-asyncio runs; it is not loaded")
    # pytest-asyncio asks by a hook since 1.4, before that by a fixture.
    if hasattr(config.hook, "pytest_asyncio_loop_factories"):
        config.pluginmanager.register(FerrioLoops(), "ferrio-loops")
    else:
        config.pluginmanager.register(FerrioPolicy(), "ferrio-policy")


class FerrioLoops:
    """Answers pytest-asyncio from 1.4 on. A hook in a conftest.py goes first."""

    @pytest.hookimpl(trylast=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], Any]]:
        """Name Ferrio's as the only factory of loops."""
        from ferrio import new_event_loop

        return {"ferrio": new_event_loop}


class FerrioPolicy:
    """Answers pytest-asyncio before 1.4. A fixture in a conftest.py goes first."""

    @pytest.fixture(scope="session")
    def event_loop_policy(self) -> Any:
        """The policy whose loops are Ferrio's."""
        from ferrio import EventLoopPolicy

        return EventLoopPolicy()
