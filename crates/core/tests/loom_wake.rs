//! Every interleaving of a loop that falls asleep and threads that queue work for it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrio-core --test loom_wake --release`, and with
//! `-- --include-ignored` also the test that takes minutes. The queue is a counter with relaxed ordering, weaker than any real queue, so that the flag alone must order it.
//! The eventfd is loom's `Notify`, which remembers one notification, and whose wait may also end by
//! itself, as ours does when an fd is ready or a timer due. A lost wake-up leaves the loop blocked for
//! ever, which loom reports as a deadlock.
#![cfg(loom)]

use ferrio_core::wake::{Wake, WakeFlag};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

/// What the threads of one loop share.
struct Shared {
    flag: WakeFlag,
    /// Items ever queued.
    queued: AtomicUsize,
    eventfd: Notify,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flag: WakeFlag::new(),
            queued: AtomicUsize::new(0),
            eventfd: Notify::new(),
        })
    }

    /// Queues an item and wakes the loop if it must; returns how many writes that took.
    fn queue_item(&self) -> usize {
        self.queued.fetch_add(1, Ordering::Relaxed);
        match self.flag.request() {
            Wake::Write => {
                self.eventfd.notify();
                1
            }
            Wake::AlreadyAwake => 0,
        }
    }

    /// Turns until `goal` items were seen; returns how often the loop prepared to sleep.
    fn run(&self, goal: usize) -> usize {
        let (mut seen, mut sleeps) = (0, 0);
        while seen < goal {
            self.flag.prepare_sleep();
            sleeps += 1;
            if self.queued.load(Ordering::Relaxed) == seen {
                self.eventfd.wait();
            }
            self.flag.awake();
            seen = self.queued.load(Ordering::Relaxed);
        }
        sleeps
    }
}

/// A thread that queues so many items; it returns how many writes that took.
fn producer(shared: &Arc<Shared>, items: usize) -> thread::JoinHandle<usize> {
    let shared = Arc::clone(shared);
    thread::spawn(move || (0..items).map(|_| shared.queue_item()).sum())
}

fn writes_of(producer: thread::JoinHandle<usize>) -> usize {
    producer.join().expect("a producer does not panic")
}

#[test]
fn one_producer_never_loses_a_wake_up() {
    loom::model(|| {
        let shared = Shared::new();
        let other = producer(&shared, 2);
        let sleeps = shared.run(2);
        assert!(writes_of(other) <= sleeps);
    });
}

fn run_with_two_producers() {
    let shared = Shared::new();
    let others = [producer(&shared, 1), producer(&shared, 1)];
    let sleeps = shared.run(2);
    assert!(others.map(writes_of).iter().sum::<usize>() <= sleeps);
}

#[test]
fn two_producers_never_lose_a_wake_up_within_four_preemptions() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(run_with_two_producers);
}

#[test]
#[ignore = "all interleavings of three threads take minutes"]
fn two_producers_never_lose_a_wake_up() {
    loom::model(run_with_two_producers);
}

#[test]
fn a_sleep_that_never_blocks_does_not_lose_the_next_wake_up() {
    loom::model(|| {
        let shared = Shared::new();
        let other = producer(&shared, 2);
        shared.flag.prepare_sleep();
        shared.flag.awake();
        let sleeps = 1 + shared.run(2);
        assert!(writes_of(other) <= sleeps);
    });
}

#[test]
fn a_sleeping_loop_gets_exactly_one_write_from_two_threads() {
    loom::model(|| {
        let shared = Shared::new();
        shared.flag.prepare_sleep();
        let others = [producer(&shared, 1), producer(&shared, 1)];
        assert_eq!(others.map(writes_of).iter().sum::<usize>(), 1);
    });
}
