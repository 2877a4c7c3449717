//! Black-box tests of the wake flag in one thread; loom_wake.rs has the interleavings.
#![cfg(not(loom))]

use ferrio_core::wake::{Wake, WakeFlag};

#[test]
fn a_running_loop_is_never_written_to() {
    let flag = WakeFlag::default();
    assert_eq!(flag.request(), Wake::AlreadyAwake);
    assert_eq!(flag.request(), Wake::AlreadyAwake);
}

#[test]
fn a_sleeping_loop_is_written_to_once() {
    let flag = WakeFlag::new();
    flag.prepare_sleep();
    assert_eq!(flag.request(), Wake::Write);
    assert_eq!(flag.request(), Wake::AlreadyAwake);
}

#[test]
fn every_sleep_can_be_ended_anew() {
    let flag = WakeFlag::new();
    for _ in 0..3 {
        flag.prepare_sleep();
        assert_eq!(flag.request(), Wake::Write);
        flag.awake();
        assert_eq!(flag.request(), Wake::AlreadyAwake);
    }
}

#[test]
fn a_loop_that_woke_for_another_reason_is_not_written_to() {
    let flag = WakeFlag::new();
    flag.prepare_sleep();
    flag.awake();
    assert_eq!(flag.request(), Wake::AlreadyAwake);
}

#[test]
fn a_request_while_awake_does_not_spend_the_write_of_the_next_sleep() {
    let flag = WakeFlag::new();
    assert_eq!(flag.request(), Wake::AlreadyAwake);
    flag.prepare_sleep();
    assert_eq!(flag.request(), Wake::Write);
}
