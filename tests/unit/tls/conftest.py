"""What tests of TLS share: both ways to OpenSSL, and certificates made for the run."""

import asyncio
import contextlib
import ssl
from importlib import import_module

import pytest
import trustme
from tls_peer import serve, settle


@pytest.fixture(params=["asyncio", "ferrio", "ferrio-ssl"])
def loop_factory(request):
    """The loops of one implementation; Ferrio's once for each way of TLS to OpenSSL."""
    name, _, engine = request.param.partition("-")
    with contextlib.ExitStack() as stack:
        if name == "ferrio":
            native = import_module("ferrio._ferrio")
            native._set_tls_engine(engine or "openssl")
            stack.callback(native._set_tls_engine, "openssl")
        yield import_module(name).new_event_loop


@pytest.fixture(scope="session")
def authority():
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_certificate(authority):
    return authority.issue_cert("localhost", "127.0.0.1")


def context_of_server(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def context_of_client(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server_side(server_certificate):
    """A server's context."""
    return context_of_server(server_certificate)


@pytest.fixture
def client_side(authority):
    """A client's context, which trusts the authority."""
    return context_of_client(authority)


@pytest.fixture
def trace_of_server(same_trace, server_side, client_side):
    """Run `scenario(trace, transport, peer, protocol)` with a connected server on both loops."""

    def compare(scenario, base=asyncio.Protocol, turns=True, **hooks):
        async def whole(trace):
            protocol = trace.protocol("app", base, **hooks)
            transport, peer = await serve(trace, protocol, server_side, client_side)
            await scenario(trace, transport, peer, protocol)
            await settle(trace, peer)

        return same_trace(whole, turns)

    return compare
