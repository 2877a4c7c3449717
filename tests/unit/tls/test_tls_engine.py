"""The way to OpenSSL: which one is used and why, and what is refused."""

import ctypes
import json
import os
import ssl
import subprocess
import sys
import textwrap

import pytest

import ferrio
from ferrio import _ferrio


def parts(server_side=False):
    """A connection of `_ssl` that has not begun, and its two BIOs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    if not server_side:
        context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_side=server_side)._sslobj, incoming, outgoing


@pytest.fixture
def engine_is_put_back():
    yield
    _ferrio._set_tls_engine("openssl")


def test_build_info_says_what_is_used(engine_is_put_back):
    info = ferrio.build_info()
    assert info["python"] == sys.version.split()[0].rstrip("+")
    assert (info["tls"], info["tls_reason"]) == ("openssl", "")
    _ferrio._set_tls_engine("ssl")
    info = ferrio.build_info()
    assert (info["tls"], info["tls_reason"]) == ("ssl", "_set_tls_engine('ssl')")
    with pytest.raises(ValueError, match="the TLS engines are"):
        _ferrio._set_tls_engine("other")


def test_the_environment_chooses():
    program = "import ferrio, json; print(json.dumps(ferrio.build_info()))"
    for value, expected in (("ssl", "ssl"), ("openssl", "openssl"), ("", "openssl")):
        environment = os.environ | {"FERRIO_TLS": value}
        out = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
        assert json.loads(out)["tls"] == expected


def test_both_sides_have_the_same_layout():
    assert _ferrio._locate_ssl(*parts(True)) == _ferrio._locate_ssl(*parts(False))


def test_a_connection_over_other_bios_is_refused():
    socket, incoming, outgoing = parts()
    for pair in ((outgoing, incoming), (incoming, incoming), (ssl.MemoryBIO(), outgoing)):
        with pytest.raises(ValueError, match="_SSLSocket holds no SSL"):
            _ferrio._locate_ssl(socket, *pair)


class Words(ctypes.Structure):
    """An object full of numbers that may be taken for addresses."""

    _fields_ = [("words", ctypes.c_size_t * 64)]


@pytest.mark.parametrize("word", [0, 1, 8, 0xFFFF_FFFF_FFFF_FFF8, 0x7FFF_0000_0000, None])
def test_wild_pointers_are_refused_without_a_crash(word):
    class Bio(Words):
        """With the methods of a MemoryBIO."""

        def __init__(self):
            super().__init__()
            self.kept = b""
            self.words[:] = [id(parts) if word is None else word] * 64

        @property
        def pending(self):
            return len(self.kept)

        def write(self, data):
            self.kept += data

        def read(self):
            self.kept = b""

    socket, incoming, outgoing = parts()
    with pytest.raises(ValueError, match="MemoryBIO holds no BIO"):
        _ferrio._locate_ssl(socket, Bio(), outgoing)
    with pytest.raises(ValueError, match="holds no SSL"):
        _ferrio._locate_ssl(Bio(), incoming, outgoing)
    with pytest.raises(ValueError, match="holds no SSL|another size"):
        _ferrio._locate_ssl(socket, incoming, Bio())


@pytest.mark.parametrize("thing", [None, 1, b"bytes", object(), [], ssl.SSLContext])
def test_objects_of_other_kinds_are_refused(thing):
    socket, incoming, outgoing = parts()
    with pytest.raises(ValueError, match="no MemoryBIO"):
        _ferrio._locate_ssl(socket, thing, outgoing)
    with pytest.raises(ValueError, match="holds no SSL"):
        _ferrio._locate_ssl(thing, incoming, outgoing)


def test_subclasses_and_patched_classes_of_ssl_are_asked():
    program = textwrap.dedent(
        """
        import asyncio, ssl, sys, ferrio

        calls = []

        def noting(kind, name):
            real = getattr(ssl.SSLObject, name)

            def call(self, *args):
                calls.append((kind, name))
                return real(self, *args)

            return call

        class Own(ssl.SSLObject):
            read = noting("subclass", "read")
            write = noting("subclass", "write")

        def context(server_side):
            side = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
            made = ssl.SSLContext(side)
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
            made.maximum_version = ssl.TLSVersion.TLSv1_2
            made.set_ciphers("aNULL:@SECLEVEL=0")
            return made

        async def talk(client):
            async def echo(reader, writer):
                writer.write(await reader.readexactly(5))
                writer.close()

            server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context(True))
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address, ssl=client)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()
            server.close()

        own = context(False)
        own.sslobject_class = Own
        ferrio.run(talk(own))
        assert ("subclass", "read") in calls and ("subclass", "write") in calls, calls
        calls.clear()
        ferrio.run(talk(context(False)))
        assert not calls
        ssl.SSLObject.read = noting("patch", "read")
        ferrio.run(talk(context(False)))
        assert ("patch", "read") in calls, calls
        """
    )
    subprocess.run([sys.executable, "-X", "dev", "-c", program], check=True)
