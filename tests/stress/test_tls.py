"""TLS connections, one after another and at once: descriptors, memory and threads come back."""

import pytest
import trustme
from connection_scenes import SPARE_DESCRIPTORS

# Rounds until the allocators have what they need.
WARM_UP_ROUNDS = 3
GROWTH = 500_000
GROWTH_OF_A_CROWD = 1_500_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate and its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    made = trustme.CA().issue_cert("localhost")
    made.private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


@pytest.fixture(params=["asyncio", "ferrio", "ferrio-ssl"])
def loop_factory(request):
    """The loops of one implementation; Ferrio's once for each way of TLS to OpenSSL."""
    name = request.param.partition("-")[0]
    return pytest.importorskip(name).new_event_loop


@pytest.fixture
def way(request, loop_factory):
    """The way to OpenSSL that the name of the test has."""
    _, _, way = request.node.callspec.params["loop_factory"].partition("-")
    return way


def test_connections_one_after_another_leave_nothing(scene, peers, size, certificate, way):
    server = scene("tls_scenes.serve", certificate=certificate, number=50, engine=way)
    crowd = peers("tls_churn", server.hear()["address"])
    start = server.ask("count")
    rounds = [server_count(server, crowd, size(60, 1_430)) for _ in range(WARM_UP_ROUNDS + 4)]
    crowd.end()
    server.end()
    assert all(count["descriptors"] == start["descriptors"] for count in rounds)
    assert all(count["threads"] == start["threads"] for count in rounds)
    warm, *later = rounds[WARM_UP_ROUNDS - 1 :]
    assert min(count["rss"] for count in later[2:]) - warm["rss"] <= GROWTH
    assert rounds[-1]["made"] == 7 * size(60, 1_430)
    assert rounds[-1]["reported"] == []


def server_count(server, crowd, number):
    """What the server counts when so many connections have come and gone."""
    crowd.ask(str(number))
    return server.ask("empty")


def test_many_connections_at_once_leave_nothing(
    scene, peers, size, needs_descriptors, certificate, way
):
    number = size(60, 1_000)
    needs_descriptors(number + SPARE_DESCRIPTORS)
    server = scene("tls_scenes.serve", certificate=certificate, number=number, engine=way)
    crowd = peers("tls_hold", server.hear()["address"], number=number)
    before = server.ask("count")
    full, empty = [], []
    for _ in range(3):
        crowd.ask("come")
        full.append(server.ask("count"))
        assert crowd.ask("leave") == {"served": number}
        empty.append(server.ask("empty"))
    crowd.end()
    server.end()
    for count in full:
        new = count["descriptors"].items() - before["descriptors"].items()
        assert len(new) == count["present"] == number
        assert {what.partition(":")[0] for _, what in new} == {"socket"}
    assert full[2]["rss"] - full[1]["rss"] <= GROWTH_OF_A_CROWD
    for count in empty:
        assert count["descriptors"] == before["descriptors"]
        assert count["threads"] == before["threads"]
        assert count["reported"] == []
