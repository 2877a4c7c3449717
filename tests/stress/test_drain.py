"""Clients that never read: a writer that awaits drain() stops, and takes no more memory."""

import hashlib

from connection_scenes import CHUNK, CHUNKS, SPARE_DESCRIPTORS, chunk

HIGH_WATER = 64 * 1024
LARGEST_BUFFER = HIGH_WATER + CHUNK

# What a blocked writer may cost beside its buffer: task, stream, transport, and copies in the
# allocators.
LARGEST_WRITER = LARGEST_BUFFER + 32 * 1024


def test_writers_stop_until_someone_reads(scene, peers, size, needs_descriptors):
    number = size(60, 900)
    needs_descriptors(number + SPARE_DESCRIPTORS)
    server = scene("connection_scenes.write_with_drain", number=number)
    address = server.hear()["address"]
    before = server.ask("count")
    clients = peers("read_late", address, number=number)
    assert clients.hear() == {"connected": number}
    blocked = server.ask("blocked")
    assert len(blocked["buffered"]) == number
    assert max(blocked["buffered"]) <= LARGEST_BUFFER
    assert (blocked["rss"] - before["rss"]) / number <= LARGEST_WRITER

    whole = hashlib.sha256(b"".join(map(chunk, range(CHUNKS)))).hexdigest()
    third = number // 3
    assert clients.ask("read") == {"read": [whole] * third}
    assert clients.ask("close") == {"closed": third}
    after = server.ask("cancel")
    clients.tell("end")
    server.end()
    clients.end()
    assert after["descriptors"] == before["descriptors"]
    assert after["reported"] == []
    endings = after["lost"]
    assert endings["writer NoneType"] == third
    assert endings["writer CancelledError"] == third
    resets = ("writer ConnectionResetError", "writer BrokenPipeError")
    assert sum(endings.get(ending, 0) for ending in resets) == third
