//! The addresses that datagrams lately came from, each with the object that stands for it: making and
//! releasing that object costs as much as the rest of receiving, without the system call.
//!
//! State: empty; one peer; a table. A transport that hears one peer needs no table.
//! Fields: an entry of the table lies in the pair of places that its hash names, the newer one first.
//! Safety: an object is a tuple of numbers and strings, or a string or bytes. No cycle of references
//! goes through it, and releasing it runs no Python code.

use std::net::SocketAddr;

use ferrio_capi::Ref;
use ferrio_capi::addresses::{self, SocketAddrAny};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

/// Pairs of places in the table. With 50 peers, nine in ten find their place free.
const PAIRS: usize = 64;

/// An address, to compare and to send to.
#[derive(Debug, PartialEq, Eq)]
pub enum Address {
    Internet(SocketAddr),
    Other(Box<SocketAddrAny>),
}

impl From<SocketAddrAny> for Address {
    #[inline]
    fn from(address: SocketAddrAny) -> Self {
        match addresses::internet(&address) {
            Some(internet) => Self::Internet(internet),
            None => Self::Other(Box::new(address)),
        }
    }
}

impl Address {
    /// Which pair of places it has.
    #[inline]
    fn pair(&self) -> usize {
        let Self::Internet(address) = self else { return 0 };
        let host = match address {
            SocketAddr::V4(address) => u64::from(address.ip().to_bits()),
            SocketAddr::V6(address) => {
                let bits = address.ip().to_bits();
                (bits >> 64) as u64 ^ bits as u64
            }
        };
        let mixed = (host ^ u64::from(address.port()) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % PAIRS
    }
}

/// An address in both forms.
#[derive(Debug)]
pub struct Peer {
    pub object: Ref,
    pub address: Address,
}

/// Peers of one transport.
#[derive(Debug, Default)]
pub struct Peers {
    /// Nothing, one, or two for each pair.
    places: Vec<Option<Peer>>,
    /// Where the peer lies that was asked for last.
    last: usize,
}

impl Peers {
    /// The object for the sender of a datagram: the same one as before, when it is still known.
    ///
    /// # Errors
    /// MemoryError.
    #[inline]
    pub fn object<'py>(&mut self, py: Python<'py>, address: SocketAddrAny) -> Object<'py> {
        let address = Address::from(address);
        let first = self.first_place(&address);
        for place in first..self.places.len().min(first + 2) {
            if let Some(peer) = &self.places[place]
                && peer.address == address
            {
                self.last = place;
                return Ok(peer.object.bind(py));
            }
        }
        self.insert(py, address)
    }

    /// The address of the last sender, if this very object stands for it.
    #[inline]
    pub fn last_as(&self, object: &Bound<'_, PyAny>) -> Option<&Address> {
        let peer = self.places.get(self.last)?.as_ref()?;
        (peer.object.as_ptr() == object.as_ptr()).then_some(&peer.address)
    }

    #[inline]
    fn first_place(&self, address: &Address) -> usize {
        if self.places.len() > 1 { 2 * address.pair() } else { 0 }
    }

    fn insert<'py>(&mut self, py: Python<'py>, address: Address) -> Object<'py> {
        let object = match &address {
            Address::Internet(address) => addresses::internet_object(py, address),
            Address::Other(address) => addresses::to_object(py, Some(address)),
        };
        let object = object.ok_or_else(|| PyMemoryError::new_err(()))?;
        if self.places.len() == 1 {
            self.grow();
        }
        let first = self.first_place(&address);
        let new = Some(Peer { object: Ref::new(object.clone()), address });
        if self.places.is_empty() {
            self.places.push(new);
        } else {
            self.places[first + 1] = std::mem::replace(&mut self.places[first], new);
        }
        self.last = first;
        Ok(object)
    }

    /// From one peer to a table.
    fn grow(&mut self) {
        let known = self.places.pop().flatten();
        self.places.resize_with(2 * PAIRS, || None);
        if let Some(known) = known {
            let first = self.first_place(&known.address);
            self.places[first] = Some(known);
        }
    }
}

type Object<'py> = PyResult<Bound<'py, PyAny>>;
