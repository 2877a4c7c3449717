"""No descriptor is left: servers go on when there are some again, calls fail and lose none."""

from connection_scenes import SPARE_DESCRIPTORS

OUT_OF_RESOURCE = "socket.accept() out of system resource"


def test_a_server_out_of_descriptors_serves_all_when_some_are_free_again(
    scene, peers, size, needs_descriptors
):
    free = size(20, 500)
    needs_descriptors(2 * free + SPARE_DESCRIPTORS)
    server = scene("descriptor_scenes.accept_with_few", free=free)
    before = server.hear()
    clients = peers("queue_up", before["address"], number=2 * free, places=free)
    assert clients.hear() == {"served": free}
    full = server.ask("count")
    new = full["descriptors"].items() - before["descriptors"].items()
    assert len(new) == full["made"] == free
    assert {report["message"] for report in full["reported"]} == {OUT_OF_RESOURCE}
    assert clients.ask("leave") == {"served": free}
    clients.tell("leave")
    after = server.ask("empty")
    clients.end()
    server.end()
    assert after["descriptors"] == before["descriptors"]
    assert after["made"] == 2 * free
    assert {report["message"] for report in after["reported"]} == {OUT_OF_RESOURCE}


def test_calls_that_lack_descriptors_fail_and_lose_none(scene):
    stage = scene("descriptor_scenes.calls_without_descriptors")
    told = stage.hear()
    stage.tell("end")
    stage.end()
    for name, call in told["calls"].items():
        assert call["failures"] > 0, name
        assert (call["opened"], call["closed"]) == ([], []), name
    assert told["reported"] == []
    # A loop that could not be made whole is closed by its finalizer, which misses the self-pipe.
    assert set(told["unraisable"]) <= {"BaseEventLoop.__del__"}
