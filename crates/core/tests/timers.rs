//! Black-box tests of the timers, and a replay of what stock asyncio did with the same timers.

use std::fmt::Debug;
use std::rc::Rc;
use std::str::FromStr;

use ferrio_core::timers::{TimerKey, Timers};

/// Written by data/make_stock_timers.py, which describes it.
const STOCK: &str = include_str!("data/stock_timers.txt");

#[test]
fn timers_fire_as_stock_asyncio_fires_them() {
    let mut scenarios = 0;
    for scenario in STOCK.split("new ").skip(1) {
        let (title, lines) = scenario.split_once('\n').expect("a title line");
        Replay::default().run(title, lines);
        scenarios += 1;
    }
    assert_eq!(scenarios, 8);
}

#[derive(Default)]
struct Replay {
    timers: Timers<usize>,
    keys: Vec<TimerKey>,
}

impl Replay {
    fn run(&mut self, title: &str, lines: &str) {
        for (index, line) in lines.lines().enumerate() {
            let mut words = line.split(' ');
            match words.next() {
                Some("push") => {
                    for when in words {
                        let key = self.timers.push(number(when), self.keys.len());
                        self.keys.push(key);
                    }
                }
                Some("cancel") => {
                    for id in words {
                        let id = number::<usize>(id);
                        self.timers.cancel(self.keys[id], |payload| *payload == id);
                    }
                }
                Some("turn") => {
                    let end_time = words.next().map(number).expect("the end time");
                    let mut expected = words.map(number::<usize>);
                    let heap_len = expected.next().expect("the heap's length");
                    self.timers.begin_turn();
                    let fired = pop_all(&mut self.timers, end_time);
                    assert_eq!(fired, expected.collect::<Vec<_>>(), "{title}, line {index}");
                    assert_eq!(self.timers.heap_len(), heap_len, "{title}, line {index}");
                }
                _ => panic!("unknown line: {line}"),
            }
        }
    }
}

fn number<N: FromStr<Err: Debug>>(word: &str) -> N {
    word.parse().expect("the file holds numbers")
}

fn pop_all<T>(timers: &mut Timers<T>, end_time: f64) -> Vec<T> {
    std::iter::from_fn(|| timers.pop_due(end_time)).collect()
}

#[test]
fn no_timers_are_no_deadline() {
    let mut timers = Timers::<u8>::new();
    timers.begin_turn();
    assert_eq!(timers.next_when(), None);
    assert_eq!(timers.pop_due(f64::INFINITY), None);
    assert!(timers.is_empty());
    assert_eq!((timers.len(), timers.heap_len()), (0, 0));
}

#[test]
fn timers_fire_by_deadline() {
    let mut timers = Timers::new();
    for when in [5.0, 1.0, 4.0, 2.0, 3.0] {
        timers.push(when, when);
    }
    assert_eq!(timers.next_when(), Some(1.0));
    assert_eq!(pop_all(&mut timers, f64::INFINITY), [1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn a_deadline_equal_to_the_end_time_is_not_due() {
    let mut timers = Timers::new();
    timers.push(1.0, ());
    assert_eq!(timers.pop_due(1.0), None);
    assert_eq!(timers.pop_due(1.0_f64.next_up()), Some(()));
}

#[test]
fn a_nan_deadline_is_due_at_once() {
    let mut timers = Timers::new();
    timers.push(f64::NAN, ());
    assert!(timers.next_when().is_some_and(f64::is_nan));
    assert_eq!(timers.pop_due(f64::NEG_INFINITY), Some(()));
}

#[test]
fn an_infinite_deadline_is_never_due() {
    let mut timers = Timers::new();
    timers.push(f64::INFINITY, ());
    assert_eq!(timers.pop_due(f64::INFINITY), None);
    assert_eq!(timers.len(), 1);
}

#[test]
fn a_cancelled_timer_gives_its_payload_back_once_and_never_fires() {
    let mut timers = Timers::new();
    let key = timers.push(1.0, "a");
    timers.push(2.0, "b");
    assert_eq!(timers.cancel(key, |payload| *payload == "a"), Some("a"));
    assert_eq!(timers.cancel(key, |payload| *payload == "a"), None);
    assert_eq!((timers.len(), timers.heap_len()), (1, 2));
    assert_eq!(pop_all(&mut timers, 9.0), ["b"]);
}

#[test]
fn the_key_of_a_fired_timer_spares_the_timer_that_has_its_slot_now() {
    let mut timers = Timers::new();
    let old = timers.push(1.0, "old");
    assert_eq!(timers.pop_due(2.0), Some("old"));
    let new = timers.push(3.0, "new");
    assert_eq!(timers.cancel(old, |payload| *payload == "old"), None);
    assert_eq!(timers.len(), 1);
    assert_eq!(timers.cancel(new, |payload| *payload == "new"), Some("new"));
}

#[test]
fn the_dead_entry_of_a_slot_does_not_stand_for_the_next_timer_in_it() {
    let mut timers = Timers::new();
    let key = timers.push(1.0, "cancelled");
    timers.cancel(key, |_| true);
    timers.push(5.0, "later");
    assert_eq!(timers.heap_len(), 2);
    assert_eq!(timers.iter().collect::<Vec<_>>(), [(5.0, &"later")]);
    assert_eq!(timers.pop_due(2.0), None);
    assert_eq!(timers.heap_len(), 1);
    assert_eq!(timers.pop_due(6.0), Some("later"));
}

#[test]
fn a_turn_begins_with_a_live_head() {
    let mut timers = Timers::new();
    let keys: Vec<_> = (0..4_u8).map(|number| timers.push(f64::from(number), number)).collect();
    timers.cancel(keys[0], |_| true);
    timers.cancel(keys[1], |_| true);
    timers.cancel(keys[3], |_| true);
    timers.begin_turn();
    assert_eq!(timers.next_when(), Some(2.0));
    assert_eq!(timers.heap_len(), 2);
}

#[test]
fn a_hundred_entries_are_not_compacted_and_one_more_is() {
    for (count, left) in [(100, 100), (101, 1)] {
        let mut timers = Timers::new();
        timers.push(0.0, 0);
        let keys: Vec<_> = (1..count).map(|number| timers.push(1.0, number)).collect();
        for key in keys {
            timers.cancel(key, |_| true);
        }
        timers.begin_turn();
        assert_eq!(timers.heap_len(), left, "{count} entries");
    }
}

#[test]
fn the_count_of_cancelled_timers_never_underflows() {
    let mut timers = Timers::new();
    for round in 0..50 {
        let when = f64::from(round);
        let keys = [0.0, 0.1, 0.2, 0.3].map(|delay| timers.push(when + delay, ()));
        timers.cancel(keys[1], |_| true);
        // The dead entry goes with the due ones in odd rounds, as head of the heap in even ones.
        timers.pop_due(when + 0.01);
        if round % 2 == 0 {
            timers.begin_turn();
        }
        pop_all(&mut timers, when + 0.9);
        timers.begin_turn();
    }
    assert!(timers.is_empty());
    assert_eq!(timers.heap_len(), 0);
}

#[test]
fn take_all_hands_over_the_live_and_old_keys_spare_new_timers() {
    let witness = Rc::new(());
    let mut timers = Timers::new();
    let keys = [3.0, 1.0, 2.0].map(|when| timers.push(when, witness.clone()));
    drop(timers.cancel(keys[1], |_| true));
    let taken = timers.take_all();
    assert_eq!((taken.len(), Rc::strong_count(&witness)), (2, 3));
    assert_eq!((timers.len(), timers.heap_len(), timers.next_when()), (0, 0, None));
    timers.push(1.0, witness.clone());
    let stranger = Rc::new(());
    let is_old = |payload: &Rc<()>| Rc::ptr_eq(payload, &stranger);
    assert!(keys.iter().all(|key| timers.cancel(*key, is_old).is_none()));
    timers.begin_turn();
    assert!(timers.pop_due(2.0).is_some());
}

#[test]
fn iter_gives_the_live_in_heap_array_order() {
    let mut timers = Timers::new();
    let keys = [4.0, 3.0, 2.0, 1.0].map(|when| timers.push(when, ()));
    timers.cancel(keys[1], |_| true);
    let whens: Vec<_> = timers.iter().map(|(when, ())| when).collect();
    // heapq.heappush of 4, 3, 2, 1 leaves [1, 2, 3, 4].
    assert_eq!(whens, [1.0, 2.0, 4.0]);
}

#[test]
fn slots_are_used_again_once_their_entries_left_the_heap() {
    let mut timers = Timers::new();
    let anchor = timers.push(9.0, ());
    for _ in 0..3 {
        let keys = [1.0, 2.0, 3.0].map(|when| timers.push(when, ()));
        for (key, slot) in keys.iter().zip(["slot: 1 ", "slot: 2 ", "slot: 3 "]) {
            let shown = keys.map(|key| format!("{key:?}"));
            assert!(shown.iter().any(|shown| shown.contains(slot)), "{shown:?}");
            timers.cancel(*key, |()| true);
        }
        timers.begin_turn();
    }
    assert!(timers.cancel(anchor, |()| true).is_some());
}
