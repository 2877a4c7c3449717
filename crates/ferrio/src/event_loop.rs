//! What a user sees of the loop: `pymethods` is its table of contents, the topics lie beside it.

pub mod call;
pub mod connect;
pub mod connect_parts;
pub mod connecting;
mod debug;
mod executor;
pub mod fd;
pub mod hot_methods;
pub mod lifecycle;
pub mod make;
pub mod overrides;
mod poll;
pub mod pymethods;
pub mod ready_queue;
pub mod report;
pub mod resolve;
pub mod run;
pub mod selector;
pub mod serve;
mod serve_tls;
pub mod signals;
pub mod sock;
pub mod transport_fds;
mod transports_by_fd;
pub mod work_item;
mod work_queue;
