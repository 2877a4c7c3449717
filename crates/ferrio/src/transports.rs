//! Native transports, each a subclass of the class of `asyncio.transports` that it stands for.

pub mod datagram;
pub mod pipe;
pub mod process;
pub mod stream;
