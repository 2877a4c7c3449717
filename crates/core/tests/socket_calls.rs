//! Black-box tests of the system calls on sockets, on real ones.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

use ferrio_core::socket_calls::{recv_from, take_error};
use rustix::net::SocketAddrAny;

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
fn the_error_of_a_connection_is_taken_off_the_socket() {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).expect("somebody listens");
    assert!(take_error(client.as_fd()).expect("an open socket").is_ok());
    drop(listener);
    let SocketAddr::V4(address) = address else { unreachable!("bound to IPv4") };
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .expect("descriptors are to be had");
    let _ = rustix::net::connect(&socket, &address);
    let mut fds = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
    rustix::event::poll(&mut fds, None).expect("the attempt ends");
    let error = take_error(socket.as_fd()).expect("an open socket").expect_err("it was refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(take_error(socket.as_fd()).expect("an open socket").is_ok());
}
