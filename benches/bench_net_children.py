"""Subprocesses: /bin/true started and waited for, without pipes and with one."""

from __future__ import annotations

import asyncio

from net_rows import add_row, program

PROGRAM = "/bin/true"


@program
async def spawn() -> None:
    child = await asyncio.create_subprocess_exec(PROGRAM)
    assert await child.wait() == 0


@program
async def spawn_piped() -> None:
    child = await asyncio.create_subprocess_exec(PROGRAM, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert (output, child.returncode) == (b"", 0)


KINDS = (("spawn", "spawn", ()), ("spawn_piped", "spawn, stdout piped", ("--piped",)))

for name, label, more in KINDS:
    for at_once in (1, 8):
        add_row(
            f"{name}_{at_once}",
            f"{label}, {at_once} at once",
            server=name,
            load=("--at-once", str(at_once)),
            bare=("--program", PROGRAM, "--at-once", str(at_once), *more),
            operation=f"{PROGRAM} started and waited for; CPU of the parent",
            by_default=at_once == 8,
        )
