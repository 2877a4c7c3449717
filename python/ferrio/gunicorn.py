"""gunicorn's worker for ASGI applications on Ferrio: `gunicorn -k ferrio.gunicorn.UvicornWorker`.

It is the worker of the package uvicorn-worker, which must be installed, with Ferrio's loop.
"""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker as _UvicornWorker

__all__ = ["UvicornWorker"]


class UvicornWorker(_UvicornWorker):  # type: ignore[misc]  # without the package it is Any
    """`uvicorn_worker.UvicornWorker`, whose server runs on a Ferrio loop.

    For other settings of uvicorn's derive from it and extend `CONFIG_KWARGS`.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        **_UvicornWorker.CONFIG_KWARGS,
        "loop": "ferrio:new_event_loop",
    }
