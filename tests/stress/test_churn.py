"""A server whose connections come and go for a minute: no descriptor and no memory stays behind."""

import time

import pytest

# Rounds until the allocators have what they need: what grows later, grows for ever.
WARM_UP_ROUNDS = 3
GROWTH = 500_000


@pytest.mark.parametrize(("kind", "family"), [("protocol", "tcp"), ("streams", "unix")])
def test_a_server_under_churn_keeps_nothing(scene, peers, size, kind, family, tmp_path):
    path = str(tmp_path / "socket") if family == "unix" else None
    server = scene("connection_scenes.serve", kind=kind, number=100, path=path)
    crowd = peers("churn", server.hear()["address"], width=20)
    start = server.ask("count")
    counted = []
    began_at = time.monotonic()
    while len(counted) < WARM_UP_ROUNDS + 2 or time.monotonic() - began_at < size(0, 60):
        crowd.ask(str(size(300, 3000)))
        counted.append(server.ask("empty"))
    crowd.end()
    server.end()
    assert all(count["descriptors"] == start["descriptors"] for count in counted)
    assert all(count["threads"] == start["threads"] for count in counted)
    warm, *later = counted[WARM_UP_ROUNDS - 1 :]
    second_half = later[len(later) // 2 :]
    assert min(count["rss"] for count in second_half) - warm["rss"] <= GROWTH
    assert counted[-1]["reported"] == []
