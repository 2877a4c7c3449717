//! A TLS connection without sockets, cryptography or Python: which phase it is in, what each event
//! asks for, when to pause, and the ciphertext that waits. CPython: asyncio/sslproto.py
//!
//! State: unwrapped -> handshake -> wrapped -> flushing -> shutdown, and from each back to unwrapped,
//! which is the end. Beside it what the application has been told: nothing -> connection_made ->
//! eof_received -> connection_lost.

mod input;
mod places;
mod water;

use std::cell::Cell;

pub use input::Input;
pub use places::{Place, Places};
pub use water::{Change, Marks};

/// Where a connection stands. CPython: SSLProtocolState
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Phase {
    /// Nothing has begun, or all is over.
    #[default]
    Unwrapped = 0,
    /// The two ends agree on keys.
    Handshake,
    /// Data goes both ways.
    Wrapped,
    /// What was written is still sent, what is there is still read.
    Flushing,
    /// The end was said to the peer, whose own is awaited.
    Shutdown,
}

/// What the application has been told. CPython: AppProtocolState
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Told {
    /// Of nothing.
    #[default]
    Nothing = 0,
    /// connection_made()
    Made,
    /// eof_received()
    Eof,
    /// connection_lost()
    Lost,
}

/// What ciphertext that has come asks for; also what a reader that goes on does.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing: it is dropped.
    Nothing,
    /// To go on with the handshake.
    Handshake,
    /// To decrypt.
    Read,
    /// To decrypt, and then to shut down.
    Flush,
    /// To go on with the shutdown.
    Shutdown,
}

/// What the end of the ciphertext asks for.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EofStep {
    /// Nothing: the connection has not begun, or is over.
    Nothing,
    /// The handshake fails with ConnectionResetError.
    FailHandshake,
    /// The connection flushes from now on, but the application reads nothing yet.
    WaitForReader,
    /// To decrypt what is there, and then to shut down.
    Flush,
    /// The rest of the backlog goes out before the shutdown, which has begun.
    WriteThenShutdown,
    /// To go on with the shutdown.
    Shutdown,
}

/// What `close` asks for.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseStep {
    /// It is closed, or closing.
    Nothing,
    /// There is no connection yet that could be closed in good order.
    Abort,
    /// The connection flushes from now on.
    Flush,
}

/// A change of phases that does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Where the connection stands.
    pub from: Phase,
    /// Where it was to go.
    pub to: Phase,
}

/// The state of one connection. Its empty value is one that has not begun.
#[derive(Debug, Default)]
pub struct Machine {
    phase: Cell<Phase>,
    told: Cell<Told>,
}

impl Machine {
    /// The phase.
    #[inline]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// What the application has been told.
    #[inline]
    pub fn told(&self) -> Told {
        self.told.get()
    }

    /// Puts the application's part where somebody else has brought it: `start_tls` takes over a
    /// connection whose application was told of it long ago.
    pub fn set_told(&self, told: Told) {
        self.told.set(told);
    }

    /// Changes the phase.
    ///
    /// # Errors
    /// [`Refused`] when no connection goes this way.
    pub fn advance(&self, to: Phase) -> Result<(), Refused> {
        let from = self.phase.get();
        let allowed = matches!(
            (from, to),
            (_, Phase::Unwrapped)
                | (Phase::Unwrapped, Phase::Handshake)
                | (Phase::Handshake, Phase::Wrapped)
                | (Phase::Wrapped, Phase::Flushing)
                | (Phase::Flushing, Phase::Shutdown)
        );
        if !allowed {
            return Err(Refused { from, to });
        }
        self.phase.set(to);
        Ok(())
    }

    /// Puts the phase where somebody wants it, whatever it was.
    pub fn put(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Whether what is written can go out, now or after the handshake.
    #[inline]
    pub fn takes_data(&self) -> bool {
        matches!(self.phase.get(), Phase::Handshake | Phase::Wrapped)
    }

    /// Whether data is decrypted for the application.
    #[inline]
    pub fn gives_data(&self) -> bool {
        matches!(self.phase.get(), Phase::Wrapped | Phase::Flushing)
    }

    /// Whether the end is under way and may take only so long.
    pub fn is_ending(&self) -> bool {
        matches!(self.phase.get(), Phase::Flushing | Phase::Shutdown)
    }

    /// Ciphertext has come.
    pub fn on_data(&self) -> Step {
        match self.phase.get() {
            Phase::Unwrapped => Step::Nothing,
            Phase::Handshake => Step::Handshake,
            Phase::Wrapped => Step::Read,
            Phase::Flushing => Step::Flush,
            Phase::Shutdown => Step::Shutdown,
        }
    }

    /// The application reads again.
    pub fn on_resume(&self) -> Step {
        match self.on_data() {
            Step::Handshake => Step::Nothing,
            step => step,
        }
    }

    /// The peer sends no more ciphertext. A wrapped connection flushes from now on.
    pub fn on_eof(&self, reading_paused: bool) -> EofStep {
        match self.phase.get() {
            Phase::Unwrapped => EofStep::Nothing,
            Phase::Handshake => EofStep::FailHandshake,
            Phase::Wrapped => {
                self.phase.set(Phase::Flushing);
                if reading_paused { EofStep::WaitForReader } else { EofStep::Flush }
            }
            Phase::Flushing => EofStep::WriteThenShutdown,
            Phase::Shutdown => EofStep::Shutdown,
        }
    }

    /// Somebody closes the connection. A wrapped one flushes from now on.
    pub fn on_close(&self) -> CloseStep {
        match self.phase.get() {
            Phase::Unwrapped | Phase::Flushing | Phase::Shutdown => CloseStep::Nothing,
            Phase::Handshake => CloseStep::Abort,
            Phase::Wrapped => {
                self.phase.set(Phase::Flushing);
                CloseStep::Flush
            }
        }
    }

    /// Whether the application is told of the connection now: it was not before.
    #[must_use]
    pub fn tell_made(&self) -> bool {
        self.tell(Told::Made, |told| told == Told::Nothing)
    }

    /// Whether it is told of the end of the data now.
    #[must_use]
    pub fn tell_eof(&self) -> bool {
        self.tell(Told::Eof, |told| told == Told::Made)
    }

    /// Whether it is told of the end of the connection. One that ends in the handshake was nobody's.
    #[must_use]
    pub fn tell_lost(&self) -> bool {
        self.phase.get() != Phase::Handshake
            && self.tell(Told::Lost, |told| matches!(told, Told::Made | Told::Eof))
    }

    fn tell(&self, what: Told, may: impl FnOnce(Told) -> bool) -> bool {
        let may = may(self.told.get());
        if may {
            self.told.set(what);
        }
        may
    }
}
