//! The system calls of pipe transports, on real descriptors.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ferrio_core::pipe::{self, Kind};

fn ends() -> (OwnedFd, OwnedFd) {
    let (reading, writing) = rustix::pipe::pipe().expect("a pipe");
    pipe::set_nonblocking(reading.as_fd()).expect("a flag");
    pipe::set_nonblocking(writing.as_fd()).expect("a flag");
    (reading, writing)
}

fn read_some(fd: BorrowedFd<'_>, room: usize) -> std::io::Result<usize> {
    pipe::read(fd, &mut vec![MaybeUninit::uninit(); room])
}

#[test]
fn kinds_of_descriptors_are_told_apart() {
    let (reading, writing) = ends();
    let (socket, _peer) = UnixStream::pair().expect("sockets");
    let null = File::open("/dev/null").expect("the null device");
    let file = File::open("Cargo.toml").expect("a file");
    let folder = File::open("src").expect("a folder");
    let kind = |fd: BorrowedFd<'_>| pipe::kind(fd).expect("an open descriptor");
    assert_eq!(kind(reading.as_fd()), Some(Kind::Fifo));
    assert_eq!(kind(writing.as_fd()), Some(Kind::Fifo));
    assert_eq!(kind(socket.as_fd()), Some(Kind::Socket));
    assert_eq!(kind(null.as_fd()), Some(Kind::CharacterDevice));
    assert_eq!(kind(file.as_fd()), None);
    assert_eq!(kind(folder.as_fd()), None);
}

#[test]
fn an_empty_pipe_would_block_and_a_closed_one_is_at_its_end() {
    let (reading, writing) = ends();
    let empty = read_some(reading.as_fd(), 10).expect_err("nothing is there");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    assert_eq!(pipe::write(writing.as_fd(), b"text").expect("room"), 4);
    assert_eq!(read_some(reading.as_fd(), 3).expect("text"), 3);
    assert_eq!(read_some(reading.as_fd(), 3).expect("text"), 1);
    drop(writing);
    assert_eq!(read_some(reading.as_fd(), 3).expect("the end"), 0);
}

#[test]
fn several_pieces_are_written_in_order() {
    let (reading, writing) = ends();
    let pieces = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")];
    assert_eq!(pipe::write_vectored(writing.as_fd(), &pieces).expect("room"), 6);
    let mut text = [0; 6];
    File::from(reading).read_exact(&mut text).expect("text");
    assert_eq!(&text, b"onetwo");
}

#[test]
fn a_full_pipe_takes_a_part_and_then_would_block() {
    let (_reading, writing) = ends();
    let much = vec![b'x'; 1 << 20];
    let written = pipe::write(writing.as_fd(), &much).expect("some room");
    assert!(written < much.len());
    let full = pipe::write(writing.as_fd(), &much).expect_err("no room");
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let full = pipe::write_vectored(writing.as_fd(), &[IoSlice::new(&much)]).expect_err("no room");
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
}
