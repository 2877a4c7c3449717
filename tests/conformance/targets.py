"""What is bound into the interpreter's tests: Ferrio, or stock to prove the suite itself.

`FERRIO_CONFORMANCE_TARGET=stock` chooses asyncio's own classes. A Ferrio that cannot be imported
is an error here, never a skip: a suite that ran nothing must not look like one that passed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from asyncio import sslproto
from collections.abc import Callable

ENVIRONMENT_NAME = "FERRIO_CONFORMANCE_TARGET"
TARGET_NAMES = ("ferrio", "stock")


@dataclasses.dataclass(frozen=True)
class Target:
    """One implementation of the classes that the tests are parametrised by.

    `policy` is None where the implementation, or the running Python, has no policies.
    """

    name: str
    event_loop: type[asyncio.AbstractEventLoop]
    new_event_loop: Callable[[], asyncio.AbstractEventLoop]
    policy: type | None
    task: type
    future: type
    handle: type
    timer_handle: type
    ssl_protocol: type
    install: Callable[[], None]
    uninstall: Callable[[], None]


def chosen_name() -> str:
    """The target that the environment names, `ferrio` when it names none."""
    name = os.environ.get(ENVIRONMENT_NAME, "ferrio")
    if name not in TARGET_NAMES:
        raise ValueError(f"{ENVIRONMENT_NAME} must be one of {TARGET_NAMES}, not {name!r}")
    return name


def load(name: str) -> Target:
    """Import the implementation called `name`."""
    return _stock() if name == "stock" else _ferrio()


def _stock() -> Target:
    # Since 3.14 reading the policy class warns, and its tests reach it under a private name.
    policy = asyncio.DefaultEventLoopPolicy if sys.version_info < (3, 14) else None
    return Target(
        name="stock",
        event_loop=asyncio.SelectorEventLoop,
        new_event_loop=asyncio.SelectorEventLoop,
        policy=policy,
        task=asyncio.Task,
        future=asyncio.Future,
        handle=asyncio.Handle,
        timer_handle=asyncio.TimerHandle,
        ssl_protocol=sslproto.SSLProtocol,
        install=lambda: None,
        uninstall=lambda: None,
    )


def _ferrio() -> Target:
    import ferrio

    return Target(
        name="ferrio",
        event_loop=ferrio.EventLoop,
        new_event_loop=ferrio.new_event_loop,
        policy=getattr(ferrio, "EventLoopPolicy", None) if sys.version_info < (3, 14) else None,
        task=ferrio.Task,
        future=ferrio.Future,
        handle=ferrio.Handle,
        timer_handle=ferrio.TimerHandle,
        ssl_protocol=ferrio._ferrio.SSLProtocol,
        install=ferrio.install,
        uninstall=ferrio.uninstall,
    )
