//! Deadline heap with O(1) lazy cancel, generic over its payload; relies on a slab for the payloads.
//!
//! The heap does what CPython's `heapq` does, step by step, with `when < when` as the only
//! comparison. That is not an accident of style: stock asyncio fires timers of equal deadline in the
//! order in which heapq happens to pop them, and programs see that order. A sequence number would
//! make ties FIFO, which stock is not. NaN deadlines, too, end up where heapq puts them.
//!
//! # State
//! 1. A timer is live from `push` until `cancel`, `pop_due` or `take_all` hands its payload back.
//! 2. A cancelled timer leaves its payload's place empty at once and a dead entry in the heap, which
//!    sinks and rises like any other until `begin_turn` or `pop_due` meets it.
//!
//! # Fields
//! 3. An entry owns its slot; it is live exactly while the slot holds a payload. A slot is used again
//!    only after its entry has left the heap.
//! 4. `cancelled` counts as stock's `_timer_cancelled_count` does, see [`Timers::pop_due`]. It is at
//!    least the number of dead entries, so it never underflows.
//!
//! # Shutdown
//! 5. `take_all` empties the heap.

use std::mem::size_of;

/// Names one pushed timer. When that timer is gone it may name another one, so whoever uses it says
/// which payload is meant.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TimerKey {
    slot: u32,
}

/// The timers of one loop.
#[derive(Debug)]
pub struct Timers<T> {
    /// Live and dead entries; a binary heap in heapq's array layout.
    heap: Vec<Entry>,
    /// Payloads by slot.
    slots: Vec<Option<T>>,
    /// Slots that no entry owns.
    free: Vec<u32>,
    /// Live entries.
    live: usize,
    /// Raised by each cancel, lowered by each dead entry that `begin_turn` pops, zeroed when the
    /// heap is compacted or emptied.
    cancelled: usize,
}

impl<T> Timers<T> {
    /// No timers, and no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), free: Vec::new(), live: 0, cancelled: 0 }
    }

    /// Adds a timer that is due once the clock has passed `when` (seconds, any value).
    pub fn push(&mut self, when: f64, payload: T) -> TimerKey {
        let slot = self.occupy(payload);
        // CPython: heapq.heappush
        let last = self.heap.len();
        self.heap.push(Entry { when, slot });
        rise(&mut self.heap, 0, last);
        TimerKey { slot }
    }

    /// Takes a live timer out, in O(1), if `is_it` recognises its payload. `None` when the timer that
    /// `key` named has fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
        let place = self.slots.get_mut(key.slot as usize)?;
        let payload = place.take_if(|payload| is_it(payload))?;
        self.live -= 1;
        self.cancelled += 1;
        Some(payload)
    }

    /// Opens a turn: afterwards the head, if there is one, is live.
    ///
    /// More than 100 entries of which more than half were cancelled: the dead are filtered out in
    /// array order and the rest becomes a heap anew. Otherwise dead entries are popped off the head.
    /// `// CPython: BaseEventLoop._run_once`; which of the two happens changes how ties resolve.
    pub fn begin_turn(&mut self) {
        if self.heap.len() > MIN_COMPACTED_LEN && self.cancelled * 2 > self.heap.len() {
            self.compact();
            return;
        }
        while self.heap.first().is_some_and(|head| !self.is_live(head)) {
            if let Some(dead) = self.pop_entry() {
                self.free.push(dead.slot);
            }
            self.cancelled -= 1;
        }
    }

    /// The head's deadline. After [`Timers::begin_turn`] and without cancels since, a live one's.
    #[inline]
    #[must_use]
    pub fn next_when(&self) -> Option<f64> {
        self.heap.first().map(|head| head.when)
    }

    /// The next live timer whose deadline is before `end_time`, in heapq's order.
    ///
    /// Dead entries on the way are discarded. They do not lower the count of cancelled timers: stock
    /// moves a cancelled handle to its ready queue and leaves its count as it is, so the next
    /// compaction comes as early as there.
    /// `// CPython: BaseEventLoop._run_once`
    pub fn pop_due(&mut self, end_time: f64) -> Option<T> {
        loop {
            // `>=` and not `<`: a NaN deadline is due at once, as in stock.
            if self.heap.first()?.when >= end_time {
                return None;
            }
            let entry = self.pop_entry()?;
            if let Some(payload) = self.vacate(entry.slot) {
                return Some(payload);
            }
        }
    }

    /// Live timers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no timer is live.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Heap entries, live and dead: the length of stock's `_scheduled`.
    #[inline]
    #[must_use]
    pub fn heap_len(&self) -> usize {
        self.heap.len()
    }

    /// Live timers as (deadline, payload), in heap-array order.
    pub fn iter(&self) -> impl Iterator<Item = (f64, &T)> {
        self.heap.iter().filter_map(|entry| {
            let payload = self.slots.get(entry.slot as usize)?.as_ref()?;
            Some((entry.when, payload))
        })
    }

    /// Empties the heap and hands the live payloads over in heap-array order, to be dropped outside
    /// of any borrow.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<T> {
        let heap = std::mem::take(&mut self.heap);
        let mut slots = std::mem::take(&mut self.slots);
        self.free = Vec::new();
        self.live = 0;
        self.cancelled = 0;
        heap.iter().filter_map(|entry| slots[entry.slot as usize].take()).collect()
    }

    fn occupy(&mut self, payload: T) -> u32 {
        self.live += 1;
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(payload);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("2^32 timers are the limit");
        self.slots.push(Some(payload));
        slot
    }

    /// Gives the slot of an entry that left the heap back, with the payload if it was live.
    fn vacate(&mut self, slot: u32) -> Option<T> {
        let payload = self.slots[slot as usize].take();
        self.live -= usize::from(payload.is_some());
        if self.heap.is_empty() {
            // Nobody owns a slot: begin anew, and let go of a burst's memory.
            self.slots.clear();
            self.slots.shrink_to(KEPT_SLOTS);
            self.free.clear();
            self.free.shrink_to(KEPT_SLOTS);
        } else {
            self.free.push(slot);
        }
        payload
    }

    fn is_live(&self, entry: &Entry) -> bool {
        self.slots[entry.slot as usize].is_some()
    }

    /// `// CPython: heapq.heappop`
    fn pop_entry(&mut self) -> Option<Entry> {
        let last = self.heap.pop()?;
        let Some(head) = self.heap.first_mut() else {
            return Some(last);
        };
        let popped = std::mem::replace(head, last);
        settle(&mut self.heap, 0);
        Some(popped)
    }

    fn compact(&mut self) {
        let mut heap = std::mem::take(&mut self.heap);
        heap.retain(|entry| {
            let live = self.slots[entry.slot as usize].is_some();
            if !live {
                self.free.push(entry.slot);
            }
            live
        });
        // A burst of timers that were cancelled does not keep its memory.
        heap.shrink_to(heap.len() * 2);
        // CPython: heapq.heapify
        for index in (0..heap.len() / 2).rev() {
            settle(&mut heap, index);
        }
        self.heap = heap;
        self.cancelled = 0;
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Packed: the heap moves entries, and a million of them should cost no more than stock's list.
#[derive(Copy, Clone, Debug)]
#[repr(C, packed(4))]
struct Entry {
    when: f64,
    slot: u32,
}

const _: () = assert!(size_of::<Entry>() == 12);

/// Moves the entry at `index` towards `start` past every ancestor that is later.
/// `// CPython: heapq._siftdown`
fn rise(heap: &mut [Entry], start: usize, mut index: usize) {
    let entry = heap[index];
    while index > start {
        let parent = (index - 1) / 2;
        if entry.when < heap[parent].when {
            heap[index] = heap[parent];
            index = parent;
        } else {
            break;
        }
    }
    heap[index] = entry;
}

/// Makes a heap at `start`, whose children are heaps: pulls the earlier child up all the way to a
/// leaf, puts the entry there, and lets it rise again. Stopping at the first fit would be a heap as
/// well, with other ties.
/// `// CPython: heapq._siftup`
fn settle(heap: &mut [Entry], start: usize) {
    let entry = heap[start];
    let mut index = start;
    loop {
        let left = 2 * index + 1;
        let right = left + 1;
        let child = match (heap.get(left), heap.get(right)) {
            (None, _) => break,
            (Some(_), None) => left,
            (Some(a), Some(b)) => {
                if a.when < b.when {
                    left
                } else {
                    right
                }
            }
        };
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = entry;
    rise(heap, start, index);
}

/// Heaps up to this length are never compacted. `// CPython: _MIN_SCHEDULED_TIMER_HANDLES`
const MIN_COMPACTED_LEN: usize = 100;

/// How many slots stay allocated when the last timer has left.
const KEPT_SLOTS: usize = 1024;
