//! `Lock` and its relatives: what asyncio's module `locks` holds.

mod context;
mod lock;
mod waiting;

pub use lock::{Lock, create};
