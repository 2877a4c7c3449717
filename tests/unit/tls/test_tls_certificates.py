"""What a context was made for: certificates, names, protocols, sessions, keys and callbacks."""

import asyncio
import contextlib
import datetime
import socket
import ssl

import pytest
import trustme
from event_trace import shown


class Echo(asyncio.Protocol):
    """Answers; keeps what the connection said of itself."""

    def __init__(self, made):
        self.made = made

    def connection_made(self, transport):
        self.transport = transport
        self.made.append(transport)

    def data_received(self, data):
        self.transport.write(data.upper())


@pytest.fixture
def talk(same_as_stock):
    """Have a client with one context say "hello" to a server with the other; returns the outcome.

    `look(client, server)` makes something of both transports, or of the error and None.
    """

    def compare(server_context, client_context, look=lambda client, server: None, **options):
        options.setdefault("server_hostname", "localhost")

        def scenario(loop, _):
            loop.set_exception_handler(lambda _, context: None)

            async def main():
                made = []
                server = await loop.create_server(
                    lambda: Echo(made), "127.0.0.1", 0, ssl=server_context()
                )
                address = server.sockets[0].getsockname()
                try:
                    return await client(made, address)
                finally:
                    server.close()
                    while any(not transport.is_closing() for transport in made):
                        await asyncio.sleep(0)
                    for _ in range(10):
                        await asyncio.sleep(0)

            async def client(made, address):
                reader, writer = await asyncio.open_connection(
                    *address, ssl=client_context(), **options
                )
                try:
                    writer.write(b"hello")
                    answer = await reader.readexactly(5)
                    return answer, look(writer.transport, made[0])
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()

            try:
                return loop.run_until_complete(main())
            except (OSError, asyncio.IncompleteReadError, ZeroDivisionError) as error:
                return type(error).__name__, shown(str(error))

        kind, found, *_ = same_as_stock(scenario)
        assert kind == "returned"
        return found

    return compare


def certified(certificate, **settings):
    """A function that makes a server's context."""

    def make():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    return make


def trusting(*authorities, prepare=lambda context: None):
    """A function that makes a client's context."""

    def make():
        context = ssl.create_default_context()
        for authority in authorities:
            authority.configure_trust(context)
        prepare(context)
        return context

    return make


def test_the_extra_info_of_both_ends(talk, authority, server_certificate):
    def look(client, server):
        found = client.get_extra_info("ssl_object")
        assert client.get_extra_info("sslcontext") is found.context
        assert isinstance(found, ssl.SSLObject)
        assert server.get_extra_info("peercert") is None
        certificate = client.get_extra_info("peercert")
        assert certificate == found.getpeercert()
        return (
            found.version(),
            found.cipher(),
            client.get_extra_info("cipher"),
            client.get_extra_info("compression"),
            [name for _, name in certificate["subjectAltName"]],
            client.get_extra_info("no such thing", "default"),
        )

    answer, info = talk(certified(server_certificate), trusting(authority), look)
    assert answer == b"HELLO"
    assert info[0] == "TLSv1.3"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions(talk, authority, server_certificate, version):
    def prepare(context):
        context.minimum_version = context.maximum_version = version

    answer, spoken = talk(
        certified(server_certificate),
        trusting(authority, prepare=prepare),
        lambda client, server: server.get_extra_info("ssl_object").version(),
    )
    assert (answer, spoken) == (b"HELLO", version.name.replace("_", "."))


def test_a_client_with_a_certificate(talk, authority, server_certificate):
    own = authority.issue_cert("client@example.org")

    def server_context():
        context = certified(server_certificate, verify_mode=ssl.CERT_REQUIRED)()
        authority.configure_trust(context)
        return context

    def look(client, server):
        return [name for _, name in server.get_extra_info("peercert")["subjectAltName"]]

    found = talk(server_context, trusting(authority, prepare=own.configure_cert), look)
    assert found == (b"HELLO", ["client@example.org"])
    assert talk(server_context, trusting(authority))[0] != b"HELLO"


def test_an_encrypted_key(talk, authority, server_certificate, tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(server_certificate.private_key_pem.bytes(), None)
    file = tmp_path / "key.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    chain = tmp_path / "chain.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in server_certificate.cert_chain_pems))

    def server_context():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain, file, password=lambda: b"secret")
        return context

    assert talk(server_context, trusting(authority))[0] == b"HELLO"


def test_a_callback_chooses_the_certificate_by_name(talk, authority):
    names = ("first.example.org", "second.example.org")
    contexts = {name: certified(authority.issue_cert(name))() for name in names}
    asked = []

    def choose(ssl_object, name, context):
        asked.append((type(ssl_object).__name__, name))
        ssl_object.context = contexts[name]

    def server_context():
        return certified(authority.issue_cert("nobody.example.org"), sni_callback=choose)()

    for name in names:
        found = talk(
            server_context,
            trusting(authority),
            lambda client, server: client.get_extra_info("peercert")["subjectAltName"],
            server_hostname=name,
        )
        assert found == (b"HELLO", (("DNS", name),))
    assert asked == [("SSLObject", name) for name in names for _ in range(2)]


@pytest.mark.parametrize("answer", ["an alert", "an exception"])
def test_a_callback_that_refuses_a_name(talk, authority, server_certificate, answer):
    def refuse(ssl_object, name, context):
        if answer == "an exception":
            raise ZeroDivisionError("on purpose")
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda unraisable: None)
        found = talk(certified(server_certificate, sni_callback=refuse), trusting(authority))
    assert found[0] in ("SSLError", "ConnectionResetError")


def test_the_application_protocol_is_agreed_on(talk, authority, server_certificate):
    def server_context():
        context = certified(server_certificate)()
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def look(client, server):
        return [
            end.get_extra_info("ssl_object").selected_alpn_protocol() for end in (client, server)
        ]

    client_context = trusting(
        authority, prepare=lambda context: context.set_alpn_protocols(["http/1.1"])
    )
    assert talk(server_context, client_context, look)[1] == ["http/1.1"] * 2
    assert talk(server_context, trusting(authority), look)[1] == [None] * 2


@pytest.mark.parametrize("case", ["unknown authority", "wrong host", "expired", "not yet valid"])
def test_a_bad_certificate(talk, authority, server_certificate, case):
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(tz=datetime.UTC).replace(tzinfo=None)
    certificate, client, options = server_certificate, trusting(authority), {}
    if case == "unknown authority":
        client = trusting(trustme.CA())
    elif case == "wrong host":
        options["server_hostname"] = "elsewhere.example.org"
    elif case == "expired":
        certificate = authority.issue_cert("localhost", not_after=now - day)
    else:
        certificate = authority.issue_cert(
            "localhost", not_before=now + day, not_after=now + 2 * day
        )
    kind, text = talk(certified(certificate), client, **options)
    assert kind == "SSLCertVerificationError"
    assert "certificate verify failed" in text


def test_a_name_is_needed_to_verify(same_as_stock, authority):
    def scenario(loop, _):
        near, far = socket.socketpair()

        async def main():
            try:
                await loop.create_connection(asyncio.Protocol, sock=near, ssl=trusting(authority)())
            except ValueError as error:
                return str(error)

        with near, far:
            return loop.run_until_complete(main())

    same_as_stock(scenario)


def test_the_key_log_is_written(talk, authority, server_certificate, tmp_path):
    files = iter(tmp_path / f"keys{number}" for number in range(9))
    used = []

    def prepare(context):
        used.append(next(files))
        context.keylog_filename = used[-1]

    talk(certified(server_certificate), trusting(authority, prepare=prepare))
    labels = [[line.split()[0] for line in file.read_text().splitlines()[1:]] for file in used]
    assert len(labels) == 2
    assert labels[0] == labels[1]
    assert "CLIENT_TRAFFIC_SECRET_0" in labels[0]


@pytest.mark.parametrize("fails", [None, 0, 5, 20])
def test_a_callback_for_each_message_is_called(talk, authority, server_certificate, fails):
    heard = []

    def hear(connection, direction, version, content_type, message_type, data):
        heard.append((direction, content_type.name, getattr(message_type, "name", message_type)))
        if fails is not None and direction == "read" and len(heard) > fails:
            raise ZeroDivisionError("on purpose")

    def prepare(context):
        context._msg_callback = hear

    found = talk(certified(server_certificate), trusting(authority, prepare=prepare))
    assert heard
    assert found[0] == (b"HELLO" if fails is None else "ZeroDivisionError")


def test_a_session_is_used_again(loop, run, authority, server_certificate):

    class Resuming(ssl.SSLContext):
        """Gives connections the session that was there last."""

        last = None

        def wrap_bio(self, *args, **kwargs):
            return super().wrap_bio(*args, session=self.last, **kwargs)

    client_context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main():
        made, reused = [], []
        server = await loop.create_server(
            lambda: Echo(made), "127.0.0.1", 0, ssl=certified(server_certificate)()
        )
        for _ in range(3):
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_context, server_hostname="localhost"
            )
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            ssl_object = writer.get_extra_info("ssl_object")
            reused.append(ssl_object.session_reused)
            client_context.last = ssl_object.session
            writer.close()
            await writer.wait_closed()
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)
        return reused

    assert run(main()) == [False, True, True]
    client_context.last = None


def test_tls_in_tls(run, authority, server_certificate):
    client_context, server_context = trusting(authority)(), certified(server_certificate)()
    size = 300_000

    async def serve(reader, writer):
        await writer.start_tls(server_context)
        data = await reader.readexactly(size)
        writer.write(data[::-1])
        await writer.drain()
        assert await reader.read() == b""
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context, server_hostname="localhost"
        )
        outer = writer.transport
        await writer.start_tls(client_context, server_hostname="127.0.0.1")
        inner = writer.transport
        assert inner is not outer
        assert inner._ssl_protocol._transport is outer
        data = bytes(range(250)) * (size // 250)
        writer.write(data)
        answer = await reader.readexactly(size)
        writer.close()
        await writer.wait_closed()
        server.close()
        for _ in range(20):
            await asyncio.sleep(0)
        return answer == data[::-1]

    assert run(main())
