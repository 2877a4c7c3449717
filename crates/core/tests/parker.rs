//! Black-box tests of the parker, with real threads.
#![cfg(not(loom))]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrio_core::parker::{Parked, Parker};

#[test]
fn a_wake_up_that_came_first_ends_the_sleep_at_once() {
    let parker = Parker::new();
    parker.unpark();
    assert_eq!(parker.park(None), Parked::Woken);
    assert_eq!(parker.park(Some(Duration::ZERO)), Parked::Woken);
}

#[test]
fn a_sleep_that_nobody_ends_times_out() {
    let parker = Parker::default();
    while parker.park(Some(Duration::from_millis(1))) != Parked::TimedOut {}
}

#[test]
fn a_thread_is_woken_by_another_however_they_meet() {
    for _ in 0..2_000 {
        let parker = Arc::new(Parker::new());
        let sleeper = {
            let parker = Arc::clone(&parker);
            thread::spawn(move || while parker.park(None) != Parked::Woken {})
        };
        parker.unpark();
        assert!(sleeper.join().is_ok());
    }
}

#[test]
fn what_the_waker_wrote_is_seen_by_the_woken() {
    use std::sync::atomic::{AtomicU32, Ordering};

    for _ in 0..500 {
        let shared = Arc::new((Parker::new(), AtomicU32::new(0)));
        let sleeper = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while shared.0.park(None) != Parked::Woken {}
                shared.1.load(Ordering::Relaxed)
            })
        };
        shared.1.store(7, Ordering::Relaxed);
        shared.0.unpark();
        assert!(sleeper.join().is_ok_and(|seen| seen == 7));
    }
}
