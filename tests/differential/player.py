"""The process of one engine: plays programs that come on stdin, writes their traces to stdout.

    python player.py asyncio|ferrio [NAME]

NAME is a bug of planted.py to put in. Messages are pickles with their length before them.
"""

import asyncio
import gc
import os
import pickle
import struct
import sys
import traceback

import insertion_order
import stage


def main(engine, bug=None):
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    insertion_order.order_sets()
    names = {name: getattr(asyncio, name) for name in asyncio.__all__}
    if engine == "ferrio":
        import ferrio

        ferrio.install()
    if bug:
        import planted

        getattr(planted, bug)()
    stage.start(names)
    gc.collect()
    gc.freeze()
    gc.disable()
    write(outgoing, "ready")
    while head := incoming.read(4):
        write(outgoing, play(pickle.loads(incoming.read(*struct.unpack("I", head)))))


def write(outgoing, message):
    message = pickle.dumps(message)
    outgoing.write(struct.pack("I", len(message)) + message)
    outgoing.flush()


def play(source):
    """The outcome of one program."""
    try:
        exec(compile(source, "program.py", "exec"), {"__name__": "program"})
    except BaseException:
        return "broken", traceback.format_exc()
    return "played", *stage.outcome()


if __name__ == "__main__":
    main(*sys.argv[1:])
