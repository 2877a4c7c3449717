//! Random acts on the timers against a model of stock's: a list with heapq's textbook steps, in which
//! cancelled timers carry a mark instead of losing their slot.

use ferrio_core::timers::Timers;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Push(f64),
    /// An index into all timers ever pushed, wrapped.
    Cancel(usize),
    Turn(f64),
    TakeAll,
}

/// Few values, so that ties are the rule.
fn deadline() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (0..12_i32).prop_map(|quarter| f64::from(quarter) / 4.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        60 => deadline().prop_map(Act::Push),
        45 => any::<usize>().prop_map(Act::Cancel),
        4 => (0..14_i32).prop_map(|quarter| Act::Turn(f64::from(quarter) / 4.0)),
    ]
}

fn act_or_take_all() -> impl Strategy<Value = Act> {
    prop_oneof![40 => act(), 1 => Just(Act::TakeAll)]
}

#[derive(Clone, Debug)]
struct Scheduled {
    when: f64,
    id: usize,
}

/// Stock's `_scheduled`, `_timer_cancelled_count`, and the handles' two flags.
#[derive(Default)]
struct Model {
    scheduled: Vec<Scheduled>,
    cancelled_count: i64,
    in_heap: Vec<bool>,
    cancelled: Vec<bool>,
}

impl Model {
    fn push(&mut self, when: f64) -> usize {
        let id = self.in_heap.len();
        self.in_heap.push(true);
        self.cancelled.push(false);
        self.scheduled.push(Scheduled { when, id });
        sift_down(&mut self.scheduled, 0);
        id
    }

    /// Whether there was a live timer to cancel.
    fn cancel(&mut self, id: usize) -> bool {
        let live = self.in_heap[id] && !self.cancelled[id];
        if live {
            self.cancelled_count += 1;
        }
        self.cancelled[id] = true;
        live
    }

    fn begin_turn(&mut self) {
        let count = self.scheduled.len();
        if count > 100 && self.cancelled_count as f64 / count as f64 > 0.5 {
            let (dead, live) = std::mem::take(&mut self.scheduled)
                .into_iter()
                .partition::<Vec<_>, _>(|timer| self.cancelled[timer.id]);
            for timer in dead {
                self.in_heap[timer.id] = false;
            }
            self.scheduled = live;
            for start in (0..self.scheduled.len() / 2).rev() {
                sift_up(&mut self.scheduled, start);
            }
            self.cancelled_count = 0;
        } else {
            while self.scheduled.first().is_some_and(|head| self.cancelled[head.id]) {
                self.cancelled_count -= 1;
                self.pop();
            }
        }
        assert!(self.cancelled_count >= 0);
    }

    fn turn(&mut self, end_time: f64) -> Vec<usize> {
        let mut fired = Vec::new();
        while let Some(head) = self.scheduled.first() {
            if head.when >= end_time {
                break;
            }
            let id = self.pop();
            if !self.cancelled[id] {
                fired.push(id);
            }
        }
        fired
    }

    fn pop(&mut self) -> usize {
        let popped = self.scheduled.swap_remove(0);
        if !self.scheduled.is_empty() {
            sift_up(&mut self.scheduled, 0);
        }
        self.in_heap[popped.id] = false;
        popped.id
    }

    fn live(&self) -> Vec<(u64, usize)> {
        let live = self.scheduled.iter().filter(|timer| !self.cancelled[timer.id]);
        live.map(|timer| (timer.when.to_bits(), timer.id)).collect()
    }
}

/// The last timer finds its place below `start`, by swaps.
fn sift_down(heap: &mut [Scheduled], start: usize) {
    let mut position = heap.len() - 1;
    sift_from(heap, start, &mut position);
}

fn sift_from(heap: &mut [Scheduled], start: usize, position: &mut usize) {
    while *position > start {
        let parent = (*position - 1) >> 1;
        if heap[*position].when < heap[parent].when {
            heap.swap(*position, parent);
            *position = parent;
        } else {
            return;
        }
    }
}

/// The timer at `start` goes down to a leaf and up again, by swaps.
fn sift_up(heap: &mut [Scheduled], start: usize) {
    let mut position = start;
    while 2 * position + 1 < heap.len() {
        let (left, right) = (2 * position + 1, 2 * position + 2);
        let left_is_less = right >= heap.len() || heap[left].when < heap[right].when;
        let child = if left_is_less { left } else { right };
        heap.swap(position, child);
        position = child;
    }
    sift_from(heap, start, &mut position);
}

fn replay(acts: Vec<Act>) {
    let mut model = Model::default();
    let mut timers = Timers::new();
    let mut keys = Vec::new();
    for act in acts {
        match act {
            Act::Push(when) => {
                let id = model.push(when);
                keys.push(timers.push(when, id));
            }
            Act::Cancel(index) if !keys.is_empty() => {
                let id = index % keys.len();
                assert_eq!(
                    timers.cancel(keys[id], |payload| *payload == id),
                    model.cancel(id).then_some(id)
                );
            }
            Act::Cancel(_) => {}
            Act::Turn(end_time) => {
                model.begin_turn();
                timers.begin_turn();
                let head = model.scheduled.first().map(|timer| timer.when.to_bits());
                assert_eq!(timers.next_when().map(f64::to_bits), head);
                let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(end_time)).collect();
                assert_eq!(fired, model.turn(end_time));
            }
            Act::TakeAll => {
                let live: Vec<_> = model.live().into_iter().map(|(_, id)| id).collect();
                assert_eq!(timers.take_all(), live);
                for timer in std::mem::take(&mut model.scheduled) {
                    model.in_heap[timer.id] = false;
                }
                model.cancelled_count = 0;
            }
        }
        assert_eq!(timers.heap_len(), model.scheduled.len());
        let live = model.live();
        assert_eq!(timers.len(), live.len());
        assert_eq!(timers.is_empty(), live.is_empty());
        assert!(timers.iter().map(|(when, id)| (when.to_bits(), *id)).eq(live));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_few_timers_behave_as_stocks(
        acts in prop::collection::vec(act_or_take_all(), 0..60)
    ) {
        replay(acts);
    }

    #[test]
    fn many_timers_behave_as_stocks_through_compactions(
        whens in prop::collection::vec(deadline(), 100..200),
        acts in prop::collection::vec(act(), 0..400),
    ) {
        replay(whens.into_iter().map(Act::Push).chain(acts).collect());
    }
}
