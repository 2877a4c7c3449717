"""Prints, as JSON, the ids of all bound tests, those listed, and the patterns that match nothing.

It imports every test module and runs none. test_conformance.py starts it as a process of its own,
so that importing CPython's tests changes nothing in pytest's.
"""

from __future__ import annotations

import json

import bindings
import reasoned_list
import targets
import worker


def count(target: targets.Target) -> dict[str, list[str]]:
    """Take the census of the running interpreter's test modules."""
    listed, unbound = reasoned_list.load("listed"), reasoned_list.load("unbound")
    known: list[str] = []
    for name in bindings.module_names():
        try:
            known += [test.conformance_id for test in worker.collect_all(name, target)]
        except bindings.ModuleNotForThisPlatformError:
            known.append(f"{name}/*")
    bound = [test_id for test_id in known if unbound.reason_for(test_id) is None]
    return {
        "bound": bound,
        "listed": [test_id for test_id in bound if listed.reason_for(test_id)],
        "useless_patterns": listed.unmatched(bound) + unbound.unmatched(known),
    }


if __name__ == "__main__":
    worker.set_up_interpreter()
    print(json.dumps(count(targets.load(targets.chosen_name()))))
