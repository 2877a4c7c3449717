//! The CPython calls that PyO3 lacks, each behind a small function. All raw `unsafe` of the
//! extension is meant to live here; the crate `ferrio` builds its types from these pieces.
//!
//! Thread rule: every function takes a `Python` token or a `Bound`, so the caller is attached to
//! the interpreter. The types that own references without a token ([`Ref`], [`Slot`]) are neither
//! `Send` nor `Sync`; [`GilCell`] is the one door through which they become part of a shared object.

pub mod addresses;
pub mod arguments;
pub mod audit;
pub mod base_fields;
pub mod bound_function;
pub mod buffer;
pub mod byte_builder;
pub mod call;
pub mod class;
pub mod context;
mod definition;
pub mod derived;
pub mod dict;
pub mod ending_thread;
pub mod function;
pub mod gil_cell;
pub mod handled;
pub mod method;
pub mod native_class;
#[cfg(not(Py_3_14))]
mod nesting;
pub mod observers;
pub mod openssl;
pub mod read_space;
pub mod recursion;
pub mod reference;
pub mod runtime;
pub mod send;
pub mod shared;
pub mod signature;
pub mod slots;
pub mod socket_object;
pub mod spare_bytes;
#[cfg(not(Py_3_14))]
pub mod special_method;
pub mod stop_iteration;
pub mod tracking;
pub mod trampoline;
pub mod weak_list;

pub use class::Class;
pub use gil_cell::GilCell;
pub use native_class::{NativeClass, State, StateOf, Visit};
pub use reference::{Ref, Slot};
pub use shared::Shared;
