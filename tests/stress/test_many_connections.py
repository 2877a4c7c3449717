"""Thousands of connections at once: each is served, costs what it should, and is let go."""

import pytest
from connection_scenes import SPARE_DESCRIPTORS

# What one idle connection may cost in bytes, its protocol with it; the kernel's part is not in it.
LARGEST_CONNECTION = {"protocol": 6_000, "buffered": 8_000, "streams": 12_000}
GROWTH = 1_500_000


@pytest.mark.parametrize("kind", LARGEST_CONNECTION)
def test_each_of_many_connections_is_served_and_let_go(scene, peers, size, needs_descriptors, kind):
    number = size(500, 10_000)
    needs_descriptors(number + SPARE_DESCRIPTORS)
    server = scene("connection_scenes.serve", kind=kind, number=number)
    crowd = peers("hold", server.hear()["address"], number=number)
    before = server.ask("count")
    found = []
    for _ in range(3):
        crowd.ask("come")
        found.append(server.ask("count"))
        assert crowd.ask("leave") == {"served": number}
        found.append(server.ask("empty"))
    crowd.end()
    server.end()
    first, after_first, second, _, third, after = found
    for full in (first, second, third):
        new = full["descriptors"].items() - before["descriptors"].items()
        assert len(new) == full["present"] == number
        assert {what.partition(":")[0] for _, what in new} == {"socket"}
        assert (full["rss"] - before["rss"]) / number <= LARGEST_CONNECTION[kind]
    assert third["rss"] - second["rss"] <= GROWTH
    assert after["descriptors"] == after_first["descriptors"] == before["descriptors"]
    assert (after["made"], after["present"]) == (3 * number, 0)
    half = 3 * number // 2
    assert after["lost"] == {"echo NoneType": half, "echo ConnectionResetError": half}
    assert after["reported"] == []
