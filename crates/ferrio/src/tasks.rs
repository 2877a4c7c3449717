//! `Task`: a coroutine that a loop drives step by step.

#[cfg(Py_3_14)]
pub mod awaiting;
pub mod coroutine_wrapper;
pub mod current;
#[cfg(Py_3_12)]
pub mod eager;
pub mod face;
pub mod fields;
pub mod gathering;
pub mod methods;
pub mod name;
pub mod origin;
pub mod registry;
pub mod sleep;
pub mod step;
pub mod task;
pub mod wrapper;

pub use task::Task;
