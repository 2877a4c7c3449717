"""Prints, as JSON, the ids of all bound tests, those listed, and the patterns that match nothing.

Its argument is the name of a suite. It imports every test module and runs none. It is started as a
process of its own, so that importing the tests changes nothing in the one that asks.
"""

from __future__ import annotations

import json
import sys

import suites
import targets
import worker


def count(suite: suites.Suite, target: targets.Target) -> dict[str, list[str]]:
    """Take the census of the suite's test modules."""
    listed, unbound = suite.reasoned_list("listed"), suite.reasoned_list("unbound")
    known: list[str] = []
    for name in suite.load_bindings().module_names():
        try:
            known += [test.conformance_id for test in worker.collect_all(suite, name, target)]
        except suites.ModuleNotRunnableError:
            known.append(f"{name}/*")
    bound = [test_id for test_id in known if unbound.reason_for(test_id) is None]
    return {
        "bound": bound,
        "listed": [test_id for test_id in bound if listed.reason_for(test_id)],
        "useless_patterns": listed.unmatched(bound) + unbound.unmatched(known),
    }


if __name__ == "__main__":
    worker.set_up_interpreter()
    suite = suites.SUITES[sys.argv[1]]
    print(json.dumps(count(suite, targets.load(targets.chosen_name()))))
