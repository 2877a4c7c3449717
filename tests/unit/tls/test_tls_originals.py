"""What a program replaces in `ssl` and in asyncio's modules is what connections are made with."""

import asyncio
import ssl

import pytest
from tls_peer import serve, settle


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


@pytest.fixture
def talk(loop, run, client_side, tmp_path):
    """Exchange a message with a server of the given context; the transport of the server."""

    async def once(context, **kwargs):
        made = []

        def factory():
            made.append(Echo())
            return made[-1]

        path = str(tmp_path / "socket")
        server = await loop.create_unix_server(factory, path, ssl=context, **kwargs)
        reader, writer = await asyncio.open_unix_connection(
            path, ssl=client_side, server_hostname="localhost"
        )
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        transport = made[0].transport
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
        server.close()
        return transport

    return lambda context, **kwargs: run(once(context, **kwargs))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def noting(calls):
    """A function that notes who calls it and goes on with the real one."""

    def make(name, real):
        def noted(*args, **kwargs):
            calls.append(name)
            return real(*args, **kwargs)

        return noted

    return make


def servers(calls):
    """The calls without those that only the client makes."""
    return [name for name in calls if name.startswith("server")]


def test_nothing_is_missing_of_what_nobody_replaced(talk, server_side):
    transport = talk(server_side)
    made = transport.get_extra_info("ssl_object")
    assert type(made) is ssl.SSLObject
    assert made.context is server_side
    assert made.server_side is True
    assert made.server_hostname is None
    assert made.session_reused is False
    assert transport.get_extra_info("sslcontext") is server_side
    assert vars(made) == {"_sslobj": made._sslobj}
    assert made._sslobj.owner is made


def test_wrap_bio_of_one_context(talk, server_side, calls, noting):
    server_side.wrap_bio = noting("server wrap_bio", server_side.wrap_bio)
    talk(server_side)
    talk(server_side)
    assert servers(calls) == ["server wrap_bio"] * 2


def test_methods_of_a_class_of_contexts(talk, server_side, calls, noting):
    names = {
        name: noting(f"server {name}", getattr(ssl.SSLContext, name))
        for name in ("wrap_bio", "_encode_hostname")
    }
    server_side.__class__ = type("Own", (ssl.SSLContext,), names)
    talk(server_side)
    assert servers(calls) == ["server wrap_bio", "server _encode_hostname"]


@pytest.mark.parametrize("where", ["context", "class"])
def test_another_class_of_objects(talk, server_side, monkeypatch, where):
    class Own(ssl.SSLObject):
        pass

    holder = server_side if where == "context" else ssl.SSLContext
    monkeypatch.setattr(holder, "sslobject_class", Own, raising=False)
    assert type(talk(server_side).get_extra_info("ssl_object")) is Own


@pytest.mark.parametrize("name", ["wrap_bio", "_encode_hostname"])
def test_methods_replaced_in_the_class_of_contexts(
    talk, server_side, calls, noting, monkeypatch, name
):
    talk(server_side)
    monkeypatch.setattr(ssl.SSLContext, name, noting(name, getattr(ssl.SSLContext, name)))
    talk(server_side)
    # Of the server and of the client.
    assert calls == [name] * 2
    monkeypatch.undo()
    talk(server_side)
    assert calls == [name] * 2


def test_the_constructor_of_objects(talk, server_side, calls, noting, monkeypatch):
    real = ssl.SSLObject._create.__func__
    monkeypatch.setattr(ssl.SSLObject, "_create", classmethod(noting("_create", real)))

    def new(cls):
        calls.append("__new__")
        return object.__new__(cls)

    monkeypatch.setattr(ssl.SSLObject, "__new__", new)
    talk(server_side)
    assert calls == ["_create", "__new__"] * 2


def test_a_constructor_by_itself(talk, server_side, calls, monkeypatch):
    def new(cls):
        calls.append("__new__")
        return object.__new__(cls)

    monkeypatch.setattr(ssl.SSLObject, "__new__", new)
    talk(server_side)
    assert calls == ["__new__"] * 2


def test_timeouts_of_asyncio_are_looked_up_for_each_connection(talk, server_side, monkeypatch):
    def timeouts(transport):
        protocol = transport._ssl_protocol
        return protocol._ssl_handshake_timeout, protocol._ssl_shutdown_timeout

    constants = asyncio.constants
    assert timeouts(talk(server_side)) == (
        constants.SSL_HANDSHAKE_TIMEOUT,
        constants.SSL_SHUTDOWN_TIMEOUT,
    )
    given = talk(server_side, ssl_handshake_timeout=7, ssl_shutdown_timeout=8)
    assert timeouts(given) == (7, 8)


def test_a_class_that_was_put_into_asyncio(talk, server_side, calls, monkeypatch):
    class Own(asyncio.sslproto.SSLProtocol):
        def __init__(self, *args, **kwargs):
            calls.append((len(args), kwargs))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(asyncio.sslproto, "SSLProtocol", Own)
    talk(server_side, ssl_handshake_timeout=7, ssl_shutdown_timeout=8)
    of_client, of_server = calls
    assert of_server[1]["ssl_handshake_timeout"] == 7
    assert of_server[1]["ssl_shutdown_timeout"] == 8
    assert of_client[1]["ssl_handshake_timeout"] is None


def test_each_connection_has_memory_bios_for_who_looks(same_trace, server_side, client_side):
    async def scenario(trace):
        served = [
            await serve(trace, trace.protocol(name), server_side, client_side)
            for name in ("one", "other")
        ]
        bios = []
        for transport, peer in served:
            protocol = transport._ssl_protocol
            peer.write(b"data")
            await trace.turns(2)
            bios += [protocol._incoming, protocol._outgoing]
            trace.note(protocol._incoming is bios[-2], protocol._outgoing is bios[-1])
        trace.note([(type(bio), bio.pending) for bio in bios], len(set(map(id, bios))))
        bios[0].write(b"for one of them")
        trace.note([bio.pending for bio in bios])
        for transport, peer in served:
            transport.abort()
            await settle(trace, peer)

    same_trace(scenario)
