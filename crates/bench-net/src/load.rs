//! The load generator: a closed loop over N connections, each with one request on its way.
//!
//! # State
//! 1. A phase sends one request on every connection, answers each reply with the next request until
//!    its time is over, and then waits for the replies that are still to come. So the server is at
//!    rest before and after a phase, and every request of it is whole.
//! 2. A first phase warms up; what the second one did is printed.
//! 3. With `--churn` each request has a connection of its own, closed when the reply is complete.
//! 4. With `--lines` each request is one line: it ends with the only newline that it has.
//! 5. With `--tls` connections speak TLS 1.3; the first request brings the handshake with it.

use std::fs;

use crate::address::{Address, Sources};
use crate::arguments::Arguments;
use crate::clock::{SECOND_NS, now_ns, own_cpu_ns, seconds_to_ns, timespec};
use crate::latency::Latencies;
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::server_cpu::ServerCpu;
use crate::slot::Slot;
use crate::tls::Context;
use crate::{Outcome, say};

/// A server that sends nothing for so long has failed.
const PATIENCE_NS: u64 = 5 * SECOND_NS;
/// A datagram without an answer for so long is lost, and is sent again from another socket.
const LOSS_NS: u64 = SECOND_NS / 2;
const SCRATCH: usize = 256 * 1024;

/// Runs both phases against `--to` and prints the second as JSON.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let server = ServerCpu::of(arguments.optional("watch")?);
    let mut load = Load::new(arguments)?;
    load.phase(seconds_to_ns(arguments.optional("warm-up")?.unwrap_or(0.0)))?;
    load.latencies = Latencies::new();
    load.lost = 0;
    let cpu_before = server.when_idle()?;
    let own_before_ns = own_cpu_ns();
    let wall_ns = load.phase(seconds_to_ns(arguments.required("seconds")?))?;
    let own_ns = own_cpu_ns() - own_before_ns;
    let cpu = server.when_idle()? - cpu_before;
    say(&format!(
        "{{\"requests\": {}, \"wall_s\": {}, \"server_cpu_s\": {}, \
         \"server_wait_s\": {}, \"own_cpu_s\": {}, \"lost\": {}, \"latency_us\": {}}}",
        load.latencies.count(),
        wall_ns as f64 / 1e9,
        cpu.ran_ns as f64 / 1e9,
        cpu.waited_ns as f64 / 1e9,
        own_ns as f64 / 1e9,
        load.lost,
        load.latencies.as_json()
    ))?;
    Ok(())
}

struct Load {
    address: Address,
    connections: usize,
    is_churn: bool,
    payload: Payload,
    readiness: Readiness,
    /// By token; all `Some` but for `--churn` outside a phase.
    slots: Vec<Option<Slot>>,
    sources: Sources,
    tls: Option<Context>,
    /// How many requests have been begun.
    begun: u64,
    latencies: Latencies,
    lost: u64,
    scratch: Vec<u8>,
}

impl Load {
    fn new(arguments: &Arguments) -> Outcome<Self> {
        let reply = arguments.optional::<String>("reply")?.map(fs::read).transpose()?;
        let size = arguments.required("size")?;
        let payload = match arguments.has("lines") {
            true => Payload::lines(size),
            false => Payload::new(size, reply),
        };
        let connections = arguments.required("connections")?;
        let mut load = Self {
            address: arguments.required("to")?,
            connections,
            is_churn: arguments.has("churn"),
            payload,
            readiness: Readiness::new()?,
            slots: (0..connections).map(|_| None).collect(),
            sources: Sources::new(),
            tls: arguments.has("tls").then(Context::client).transpose()?,
            begun: 0,
            latencies: Latencies::new(),
            lost: 0,
            scratch: vec![0; SCRATCH],
        };
        for token in 0..if load.is_churn { 0 } else { connections } {
            load.connect(token)?;
        }
        Ok(load)
    }

    /// Returns the nanoseconds from the first request to the last reply.
    fn phase(&mut self, duration_ns: u64) -> Outcome<u64> {
        let start_ns = now_ns();
        for token in 0..self.connections {
            self.begin(token, now_ns())?;
        }
        let mut busy = self.connections;
        let mut last_reply_ns = start_ns;
        let wait_ns = if self.address.is_datagram() { LOSS_NS } else { PATIENCE_NS };
        while busy > 0 {
            let count = self.readiness.wait(Some(&timespec(wait_ns)))?;
            if count == 0 {
                self.on_silence(now_ns(), last_reply_ns)?;
            }
            for number in 0..count {
                let Some(token) = self.on_event(number)? else { continue };
                let reply_ns = self.record(token);
                last_reply_ns = reply_ns;
                if reply_ns - start_ns < duration_ns {
                    self.begin(token, reply_ns)?;
                } else {
                    busy -= 1;
                }
            }
        }
        Ok(last_reply_ns - start_ns)
    }

    fn connect(&mut self, token: usize) -> Outcome {
        let socket = self.address.connect(&mut self.sources)?;
        let is_datagram = self.address.is_datagram();
        let tls = self.tls.as_ref().map(Context::connection).transpose()?;
        self.slots[token] = Some(Slot::new(socket, token, is_datagram, tls, &self.readiness)?);
        Ok(())
    }

    fn begin(&mut self, token: usize, started_ns: u64) -> Outcome {
        if self.slots[token].is_none() {
            self.connect(token)?;
        }
        self.begun += 1;
        match &mut self.slots[token] {
            Some(slot) => slot.begin(self.begun, started_ns, &self.payload, &self.readiness),
            None => Ok(()),
        }
    }

    /// The token of the connection whose reply an event completed, if it did.
    fn on_event(&mut self, number: usize) -> Outcome<Option<usize>> {
        let (token, flags) = self.readiness.event(number);
        let Some(slot) = &mut self.slots[token] else { return Ok(None) };
        let done = slot.on_event(flags, &self.payload, &self.readiness, &mut self.scratch)?;
        Ok(done.then_some(token))
    }

    /// Counts a reply, which ends its connection under churn. Returns the time.
    fn record(&mut self, token: usize) -> u64 {
        let reply_ns = now_ns();
        if let Some(slot) = &self.slots[token] {
            self.latencies.record(reply_ns - slot.started_ns);
        }
        if self.is_churn {
            self.slots[token] = None;
        }
        reply_ns
    }

    /// A stream's server has failed; datagrams may be lost, and then go out again.
    fn on_silence(&mut self, now_ns: u64, last_reply_ns: u64) -> Outcome {
        if now_ns - last_reply_ns >= PATIENCE_NS {
            let waiting = self.slots.iter().flatten().filter(|slot| slot.is_busy).count();
            let patience_s = PATIENCE_NS / SECOND_NS;
            return Err(format!("{waiting} requests had no reply within {patience_s} s").into());
        }
        if self.address.is_datagram() {
            for token in 0..self.connections {
                let is_busy = self.slots[token].as_ref().is_some_and(|slot| slot.is_busy);
                if is_busy {
                    self.lost += 1;
                    self.connect(token)?;
                    self.begin(token, now_ns)?;
                }
            }
        }
        Ok(())
    }
}
