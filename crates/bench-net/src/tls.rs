//! One end of a TLS 1.3 connection over memory: ciphertext comes in with one system call and goes out
//! with one, whatever the records are. Relies on OpenSSL, the system's own.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslFiletype, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::Outcome;

/// What connections are made from.
pub(crate) struct Context {
    context: SslContext,
    is_server: bool,
}

/// A connection. It holds no socket.
pub(crate) struct Tls(SslStream<Memory>);

/// What reading came to.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Bytes(usize),
    Nothing,
    End,
}

/// Ciphertext on its way in and out.
#[derive(Debug, Default)]
struct Memory {
    input: Vec<u8>,
    /// Bytes of `input` that were read, and those that there are.
    done: usize,
    end: usize,
    /// `input` is the memory that all connections read into.
    is_lent: bool,
    output: Vec<u8>,
}

impl Context {
    /// A client's, which takes any certificate: the load is no test of those.
    pub(crate) fn client() -> Outcome<Self> {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        builder.set_verify(SslVerifyMode::NONE);
        Ok(Self { context: builder.build(), is_server: false })
    }

    /// A server's, with its certificate and key in one file.
    pub(crate) fn server(file: &str) -> Outcome<Self> {
        let mut builder = SslContext::builder(SslMethod::tls_server())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        builder.set_certificate_chain_file(file)?;
        builder.set_private_key_file(file, SslFiletype::PEM)?;
        Ok(Self { context: builder.build(), is_server: true })
    }

    /// A connection that has not begun.
    pub(crate) fn connection(&self) -> Outcome<Tls> {
        let mut ssl = Ssl::new(&self.context)?;
        if self.is_server {
            ssl.set_accept_state();
        } else {
            ssl.set_connect_state();
        }
        Ok(Tls(SslStream::new(ssl, Memory::default())?))
    }
}

impl Tls {
    /// Takes what has come to the socket; how much it was. `scratch` is lent until
    /// [`Tls::give_back`].
    pub(crate) fn receive(
        &mut self,
        socket: &OwnedFd,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, Errno> {
        let (count, _) = recv(socket, scratch.as_mut_slice(), RecvFlags::empty())?;
        let memory = self.0.get_mut();
        if memory.done == memory.end {
            std::mem::swap(&mut memory.input, scratch);
            (memory.done, memory.end, memory.is_lent) = (0, count, true);
        } else {
            memory.input.truncate(memory.end);
            memory.input.extend_from_slice(&scratch[..count]);
            memory.end += count;
        }
        Ok(count)
    }

    /// Gives back what was lent; what was not read of it is copied.
    pub(crate) fn give_back(&mut self, scratch: &mut Vec<u8>) {
        let memory = self.0.get_mut();
        if std::mem::take(&mut memory.is_lent) {
            let rest = memory.input[memory.done..memory.end].to_vec();
            (memory.done, memory.end) = (0, rest.len());
            *scratch = std::mem::replace(&mut memory.input, rest);
        }
    }

    /// Decrypts into `space`.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> Outcome<Came> {
        let mut filled = 0;
        while filled < space.len() {
            match self.0.ssl_read(&mut space[filled..]) {
                Ok(count) => filled += count,
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    return Ok(if filled > 0 { Came::Bytes(filled) } else { Came::End });
                }
                Err(error) => return Err(error.into()),
            }
            let memory = self.0.get_ref();
            if memory.done == memory.end && self.0.ssl().pending() == 0 {
                break;
            }
        }
        Ok(if filled > 0 { Came::Bytes(filled) } else { Came::Nothing })
    }

    /// Encrypts all of `data`; false while the handshake is not done.
    pub(crate) fn write(&mut self, data: &[u8]) -> Outcome<bool> {
        let mut done = 0;
        while done < data.len() {
            match self.0.ssl_write(&data[done..]) {
                Ok(count) => done += count,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Says that no more will be written.
    pub(crate) fn close(&mut self) {
        // A peer that has gone needs no farewell.
        let _ = self.0.shutdown();
    }

    /// Sends the ciphertext that fits; whether that was all.
    pub(crate) fn flush(&mut self, socket: &OwnedFd) -> Result<bool, Errno> {
        let output = &mut self.0.get_mut().output;
        if output.is_empty() {
            return Ok(true);
        }
        let sent = match send(socket, output, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(errno) => return Err(errno),
        };
        if sent == output.len() {
            output.clear();
        } else {
            output.drain(..sent);
        }
        Ok(output.is_empty())
    }
}

impl Read for Memory {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = space.len().min(self.end - self.done);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        space[..count].copy_from_slice(&self.input[self.done..self.done + count]);
        self.done += count;
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
