"""asyncio's sets of tasks in the order of insertion, so that a program has one trace.

Stock keeps tasks in sets in a few places: the children that a TaskGroup cancels, what
`as_completed` and `wait` look at. Such a set is ordered by addresses, so two runs of one program
differ. `order_sets` puts insertion order there, one of the orders that stock may take, before the
engine under test is imported. A native form is held to the same order.
"""

import asyncio
import inspect


class InsertionOrderedSet:
    """What asyncio uses of a set."""

    def __init__(self, items=()):
        self.items = dict.fromkeys(items)

    def add(self, item):
        self.items[item] = None

    def discard(self, item):
        self.items.pop(item, None)

    def remove(self, item):
        del self.items[item]

    def __iter__(self):
        return iter(list(self.items))

    def __len__(self):
        return len(self.items)

    def __contains__(self, item):
        return item in self.items

    def __repr__(self):
        return repr(set(self.items))


def order_sets():
    """Patch the running interpreter's asyncio."""
    asyncio.taskgroups.set = InsertionOrderedSet
    tasks = asyncio.tasks
    for name in ("as_completed", "_AsCompletedIterator", "wait"):
        if name not in vars(tasks):
            continue
        source = inspect.getsource(vars(tasks)[name])
        ordered = source.replace("in set(fs)}", "in dict.fromkeys(fs)]")
        ordered = ordered.replace("in set(aws)}", "in dict.fromkeys(aws)]")
        ordered = ordered.replace("{ensure_future(", "[ensure_future(")
        ordered = ordered.replace("fs = set(fs)", "fs = dict.fromkeys(fs)")
        if ordered == source:
            continue
        kept = vars(tasks)[name]
        exec(compile(ordered, tasks.__file__, "exec"), vars(tasks))
        if vars(asyncio).get(name) is kept:
            setattr(asyncio, name, vars(tasks)[name])
