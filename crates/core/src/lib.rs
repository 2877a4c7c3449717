//! ferrio-core: the algorithms of an event loop, testable without Python.
//!
//! The crate's promise: no unsafe code, no Python, no global state, and no call into its user.
//! Payloads are generic and are always handed back, never dropped inside, so that a caller whose
//! payload runs arbitrary code when dropped can drop it outside of every borrow.
//!
//! | module | holds |
//! |---|---|
//! | [`ready`] | FIFO of runnable things |
//! | [`timers`] | deadline heap with lazy cancel |
//! | [`wake`] | the wake flag; threads share it, [`reactor::Poller`] and [`parker::Parker`], nothing else |
//! | [`reactor`] | epoll, its wake-up, and the table of who waits for which fd |
//! | [`numeric_address`] | what getaddrinfo answers for an address in numbers |
//! | [`compact_address`] | a socket address in few bytes |
//! | [`write_buf`] | what a transport has still to send |
//! | [`stream_socket`] | the system calls of a stream socket |
//! | [`socket_calls`] | system calls on sockets of any kind |
//! | [`datagram_socket`] | the system calls of a datagram socket |
//! | [`parker`] | a place where one thread sleeps until another wakes it |
//! | [`pipe`] | the system calls of a pipe transport |
//! | [`child`] | the end of a child process |
//! | [`separators`] | where a line or a message ends |
//! | [`tls`] | the state of a TLS connection |
//! | [`turn`] | how long one turn of the loop may sleep; the clock |
#![forbid(unsafe_code)]

pub mod child;
pub mod compact_address;
pub mod datagram_socket;
pub mod numeric_address;
pub mod parker;
pub mod pipe;
pub mod reactor;
pub mod ready;
pub mod separators;
pub mod socket_calls;
pub mod stream_socket;
pub mod timers;
pub mod tls;
pub mod turn;
pub mod wake;
pub mod write_buf;
