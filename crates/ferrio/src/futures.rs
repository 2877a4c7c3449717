//! `Future`: a result that will be there later. It knows of a loop only "call this soon".

pub mod attributes;
#[cfg(Py_3_14)]
pub mod awaited_by;
pub mod callbacks;
pub mod future;
pub mod iterator;
pub mod methods;
pub mod outcome;

pub use future::{AsFuture, Future, FutureClass, FutureState, NativeFuture};
