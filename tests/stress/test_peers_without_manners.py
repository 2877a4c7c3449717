"""Peers that reset, stall, half-close, read late or send single bytes, all of them at once."""

from collections import Counter

from connection_scenes import SPARE_DESCRIPTORS

# The exception of connection_lost by the kind of peer. Who is reset while it writes can see either.
ENDINGS = {
    "well_behaved": {"NoneType"},
    "byte_by_byte": {"NoneType"},
    "half_closing": {"NoneType"},
    "resetting": {"ConnectionResetError"},
    "big_reset": {"ConnectionResetError", "BrokenPipeError"},
    "big_slow": {"NoneType"},
    "big_stall": {"NoneType"},
}


def test_each_peer_ends_as_it_should_and_disturbs_no_other(scene, peers, size, needs_descriptors):
    each = size(8, 100)
    needs_descriptors(each * len(ENDINGS) + SPARE_DESCRIPTORS)
    server = scene("connection_scenes.serve", kind="manners", number=each * len(ENDINGS))
    address = server.hear()["address"]
    before = server.ask("count")
    crowd = peers("misbehave", address, each=each)
    assert crowd.hear() == {"failed": []}
    after = server.ask("empty")
    assert crowd.ask("enough") == {"failed": []}
    crowd.end()
    server.end()
    assert after["descriptors"] == before["descriptors"]
    assert after["reported"] == []
    counted = Counter()
    for ending, number in after["lost"].items():
        kind, exception = ending.split()
        assert exception in ENDINGS[kind], ending
        counted[kind] += number
    assert counted == dict.fromkeys(ENDINGS, each)
