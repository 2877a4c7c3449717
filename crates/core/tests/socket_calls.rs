//! Black-box tests of the system calls on sockets, on real ones.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use ferrio_core::socket_calls::{Attempt, connect, connect_outcome, open_stream, recv_from};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    (listener, address)
}

fn datagrams() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_nonblocking(true).expect("a fresh socket");
    let address = socket.local_addr().expect("a bound socket");
    (socket, address)
}

fn shown(address: Option<SocketAddrAny>) -> Option<SocketAddr> {
    let address = SocketAddrV4::try_from(address?).expect("an IPv4 address");
    Some(SocketAddr::V4(address))
}

#[test]
fn a_datagram_comes_with_its_sender() {
    let (here, here_address) = datagrams();
    let (there, there_address) = datagrams();
    let mut space = [MaybeUninit::uninit(); 8];
    let error = recv_from(here.as_fd(), &mut space).expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    there.send_to(b"hello", here_address).expect("a bound socket");
    let (count, sender) = recv_from(here.as_fd(), &mut space).expect("a datagram is there");
    assert_eq!((count, shown(sender)), (5, Some(there_address)));
}

#[test]
fn an_attempt_to_connect_ends_when_the_socket_is_writable() {
    let (_listener, address) = listener();
    let socket = attempted(address);
    let outcome = connect_outcome(socket.as_fd()).expect("an open socket");
    assert_eq!(outcome.expect("somebody listens"), Attempt::Connected);
    assert_eq!(rustix::net::getpeername(&socket).map(shown), Ok(Some(address)));
}

#[test]
fn the_error_of_an_attempt_is_taken_off_the_socket() {
    let (listener, address) = listener();
    drop(listener);
    let socket = attempted(address);
    let outcome = connect_outcome(socket.as_fd()).expect("an open socket");
    assert_eq!(outcome.expect_err("it was refused").kind(), ErrorKind::ConnectionRefused);
    assert!(connect_outcome(socket.as_fd()).expect("an open socket").is_ok());
}

#[test]
fn a_unix_socket_without_listener_is_refused_at_once() {
    let socket = open_stream(AddressFamily::UNIX, 0).expect("descriptors are to be had");
    let address = SocketAddrUnix::new("/nonexistent/listener").expect("a short path");
    let error = connect(socket.as_fd(), &address.into()).expect_err("there is no such file");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_unix_listener_with_a_full_queue_counts_as_pending() {
    let listener = open_stream(AddressFamily::UNIX, 0).expect("descriptors are to be had");
    rustix::net::bind(&listener, &SocketAddrUnix::new_unnamed()).expect("the kernel finds a name");
    rustix::net::listen(&listener, 0).expect("a bound socket");
    let address = rustix::net::getsockname(&listener).expect("a bound socket");
    let open = || open_stream(AddressFamily::UNIX, 0).expect("descriptors are to be had");
    let (first, second) = (open(), open());
    assert_eq!(connect(first.as_fd(), &address).ok(), Some(Attempt::Connected));
    assert_eq!(connect(second.as_fd(), &address).ok(), Some(Attempt::Pending));
}

/// A socket whose attempt to connect is over.
fn attempted(address: SocketAddr) -> OwnedFd {
    let socket = open_stream(AddressFamily::INET, 6).expect("descriptors are to be had");
    let begun = connect(socket.as_fd(), &address.into()).expect("it takes its time");
    assert_eq!(begun, Attempt::Pending);
    let mut fds = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
    rustix::event::poll(&mut fds, None).expect("the attempt ends");
    socket
}
