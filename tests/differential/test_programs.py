"""Random programs with fixed seeds: the same ones in every run. `make fuzz` plays others."""

import engines
import fuzz
import pytest

GROUPS = {
    "tasks": ["futures", "callbacks", "gather"],
    "locks": ["locks", "conditions", "semaphores"],
    "queues": ["queues", "events", "wait_for"],
    "timeouts": ["timeouts", "wait_for", "groups"],
    "groups": ["groups", "shield", "gather"],
    "waiting": ["wait", "as_completed", "shield"],
    "barriers": ["barriers", "events", "mixed"],
    "streams": ["streams", "timeouts", "mixed"],
    "streams in groups": ["streams", "callbacks", "groups"],
    "any three": None,
}


@pytest.mark.timeout(120)  # a difference is made small first
@pytest.mark.parametrize("group", GROUPS)
def test_random_programs_have_the_trace_that_they_have_on_stock(group):
    with engines.Pair() as pair:
        found = fuzz.first_difference(pair, 0, GROUPS[group], batch=300, derandomize=True)
        assert found is None, "\n".join(found)
        assert pair.played > 100
