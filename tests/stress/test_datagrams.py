"""Floods of datagrams: one that arrives starves nothing, one that is sent keeps to its buffer."""

import asyncio
import sys

HIGH_WATER = 64 * 1024
LARGEST_DATAGRAM = 200

# Of every datagram that waited, 3.13.0 to 3.13.5 leave 8 bytes in the counted size, and after 2048
# the protocol is never told to go on (gh-135444). Ferrio follows the running Python in this.
MISCOUNTS = sys.version_info[:2] == (3, 13) and not hasattr(
    asyncio.selector_events._SelectorDatagramTransport, "_header_size"
)


def test_a_flood_starves_neither_timers_nor_connections(scene, peers, size):
    number = size(3000, 300_000)
    endpoint = scene("datagram_scenes.flooded")
    address = endpoint.hear()["address"]
    before = endpoint.ask("count")
    crowd = peers("flood", address, senders=4)
    middle = endpoint.ask(f"meanwhile {number}")
    during = endpoint.ask(f"meanwhile {number}")
    assert crowd.ask("stop")["answer"] == "pong"
    crowd.end()
    after = endpoint.ask("count")
    endpoint.end()
    assert after["received"] >= 2 * number
    assert (after["wrong"], after["senders"]) == (0, 4)
    assert after["descriptors"] == before["descriptors"]
    assert after["reported"] == []
    assert during["rss"] - middle["rss"] <= 1_500_000


def test_a_sender_stops_until_someone_reads_and_loses_nothing(scene, peers, size, tmp_path):
    number = 1500 if MISCOUNTS else size(1500, 300_000)
    path = str(tmp_path / "socket")
    reader = peers("read_datagrams", path, number=number)
    reader.hear()
    endpoint = scene("datagram_scenes.flooding", number=number, path=path)
    before = endpoint.ask("start")
    blocked = endpoint.ask("blocked")
    assert HIGH_WATER < blocked["buffered"] <= HIGH_WATER + LARGEST_DATAGRAM
    assert blocked["rss"] - before["rss"] <= 1_500_000
    assert reader.ask("read") == {"read": number}
    sent = endpoint.ask("sent")
    endpoint.end()
    reader.end()
    assert sent["buffered"] == 0 or MISCOUNTS
    assert sent["reported"] == []
    assert sent["descriptors"] == before["descriptors"]
