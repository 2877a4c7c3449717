//! The state of a TLS connection, its flow control and its input, seen from outside.

use ferrio_core::tls::{
    Change, CloseStep, EofStep, Input, Machine, Marks, Phase, Places, Step, Told,
};

const PHASES: [Phase; 5] =
    [Phase::Unwrapped, Phase::Handshake, Phase::Wrapped, Phase::Flushing, Phase::Shutdown];

fn at(phase: Phase) -> Machine {
    let machine = Machine::default();
    machine.put(phase);
    machine
}

#[test]
fn only_five_ways_lead_from_phase_to_phase() {
    for from in PHASES {
        for to in PHASES {
            let allowed = to == Phase::Unwrapped
                || (from, to) == (Phase::Unwrapped, Phase::Handshake)
                || (from, to) == (Phase::Handshake, Phase::Wrapped)
                || (from, to) == (Phase::Wrapped, Phase::Flushing)
                || (from, to) == (Phase::Flushing, Phase::Shutdown);
            let machine = at(from);
            match machine.advance(to) {
                Ok(()) => assert!(allowed && machine.phase() == to),
                Err(refused) => {
                    assert!(!allowed && machine.phase() == from);
                    assert_eq!((refused.from, refused.to), (from, to));
                }
            }
        }
    }
}

#[test]
fn what_data_asks_for_follows_the_phase() {
    let steps = PHASES.map(|phase| at(phase).on_data());
    let expected = [Step::Nothing, Step::Handshake, Step::Read, Step::Flush, Step::Shutdown];
    assert_eq!(steps, expected);
    assert_eq!(at(Phase::Handshake).on_resume(), Step::Nothing);
    assert_eq!(at(Phase::Flushing).on_resume(), Step::Flush);
}

#[test]
fn the_end_of_the_stream_flushes_a_wrapped_connection() {
    let machine = at(Phase::Wrapped);
    assert_eq!(machine.on_eof(false), EofStep::Flush);
    assert_eq!(machine.phase(), Phase::Flushing);
    let machine = at(Phase::Wrapped);
    assert_eq!(machine.on_eof(true), EofStep::WaitForReader);
    assert_eq!(machine.phase(), Phase::Flushing);
    assert_eq!(at(Phase::Handshake).on_eof(false), EofStep::FailHandshake);
    assert_eq!(at(Phase::Flushing).on_eof(true), EofStep::WriteThenShutdown);
    assert_eq!(at(Phase::Shutdown).on_eof(false), EofStep::Shutdown);
    assert_eq!(at(Phase::Unwrapped).on_eof(false), EofStep::Nothing);
}

#[test]
fn close_aborts_a_handshake_and_acts_once() {
    let machine = at(Phase::Wrapped);
    assert_eq!(machine.on_close(), CloseStep::Flush);
    assert_eq!(machine.on_close(), CloseStep::Nothing);
    assert_eq!(at(Phase::Handshake).on_close(), CloseStep::Abort);
    assert_eq!(at(Phase::Unwrapped).on_close(), CloseStep::Nothing);
}

#[test]
fn data_is_taken_until_the_connection_ends() {
    let takes = PHASES.map(|phase| at(phase).takes_data());
    assert_eq!(takes, [false, true, true, false, false]);
    let gives = PHASES.map(|phase| at(phase).gives_data());
    assert_eq!(gives, [false, false, true, true, false]);
    assert_eq!(PHASES.map(|phase| at(phase).is_ending()), [false, false, false, true, true]);
}

#[test]
fn the_application_is_told_of_each_thing_once_and_in_order() {
    let machine = at(Phase::Wrapped);
    assert!(!machine.tell_eof() && !machine.tell_lost());
    assert!(machine.tell_made());
    assert!(!machine.tell_made());
    assert!(machine.tell_eof());
    assert!(!machine.tell_eof());
    assert!(machine.tell_lost());
    assert!(!machine.tell_lost());
    assert_eq!(machine.told(), Told::Lost);
}

#[test]
fn a_connection_that_ends_in_its_handshake_was_nobodys() {
    let machine = at(Phase::Handshake);
    machine.set_told(Told::Made);
    assert!(!machine.tell_lost());
    machine.put(Phase::Unwrapped);
    assert!(machine.tell_lost());
}

#[test]
fn marks_pause_at_the_upper_and_resume_at_the_lower_one() {
    let marks = Marks::default();
    marks.set(10.0, 4.0);
    assert_eq!(marks.judge(9), Change::Nothing);
    assert_eq!(marks.judge(10), Change::Pause);
    assert_eq!(marks.judge(10), Change::Nothing);
    assert_eq!(marks.judge(5), Change::Nothing);
    assert_eq!(marks.judge(4), Change::Resume);
    assert!(!marks.is_paused());
}

#[test]
fn marks_at_zero_pause_when_nothing_waits_and_resume_at_once() {
    let marks = Marks::default();
    marks.set(0.0, 0.0);
    assert_eq!(marks.judge(0), Change::Pause);
    assert_eq!(marks.judge(0), Change::Resume);
}

/// Reads all that waits, in pieces of `size`.
fn drain(input: &mut Input, size: usize) -> Vec<u8> {
    let (mut all, mut space) = (Vec::new(), vec![0; size]);
    loop {
        match input.read(&mut space) {
            0 => return all,
            count => all.extend_from_slice(&space[..count]),
        }
    }
}

#[test]
fn what_was_lent_comes_after_what_was_left() {
    for size in [1, 2, 3, 100] {
        let mut input = Input::default();
        input.push(b"one ");
        input.lend(b"two three, and rubbish".to_vec(), 9);
        assert_eq!(input.len(), 13);
        assert_eq!(drain(&mut input, size), b"one two three");
        assert!(input.is_empty());
    }
}

#[test]
fn what_nobody_read_stays_when_the_memory_goes_back() {
    let mut input = Input::default();
    let memory = b"abcdefgh".to_vec();
    let address = memory.as_ptr();
    input.lend(memory, 6);
    assert_eq!(input.read(&mut [0; 2]), 2);
    let back = input.take_back();
    assert_eq!((back.as_ptr(), back.len()), (address, 8));
    assert_eq!(input.len(), 4);
    input.push(b"!");
    input.lend(b"xyz".to_vec(), 3);
    assert_eq!(drain(&mut input, 3), b"cdef!xyz");
    assert!(input.take_back().len() == 3 && input.is_empty());
}

#[test]
fn data_that_comes_while_memory_is_lent_keeps_its_place() {
    let mut input = Input::default();
    input.lend(b"first".to_vec(), 5);
    input.push(b" second");
    assert_eq!(drain(&mut input, 4), b"first second");
}

#[test]
#[should_panic(expected = "more was lent than there is")]
fn more_than_there_is_cannot_be_lent() {
    Input::default().lend(vec![0; 2], 3);
}

#[test]
fn a_place_is_free_again_when_it_is_dropped() {
    static PLACES: Places = Places::new(2);
    let (one, two) = (PLACES.take(), PLACES.take());
    assert!(one.is_some() && two.is_some() && PLACES.take().is_none());
    drop(one);
    let again = PLACES.take();
    assert!(again.is_some() && PLACES.take().is_none());
}
