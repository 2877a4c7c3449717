//! Deadline heap with O(1) lazy cancel, generic over its payload; relies on a slab for the payloads.
//!
//! The heap does what CPython's `heapq` does, step by step, with `when < when` as the only
//! comparison. That is not an accident of style: stock asyncio fires timers of equal deadline in the
//! order in which heapq happens to pop them, and programs see that order. A sequence number would
//! make ties FIFO, which stock is not. NaN deadlines, too, end up where heapq puts them.
//!
//! # State
//! 1. A timer is live from `push` until `cancel`, `pop_due` or `take_all` hands its payload back.
//! 2. A cancelled timer leaves its slot at once and a dead entry in the heap, which sinks and rises
//!    like any other until `begin_turn` or `pop_due` meets it.
//!
//! # Fields
//! 3. An entry is live exactly when its generation is that of its slot: the generation changes
//!    whenever a slot is vacated, and a slot whose generations are used up is never used again.
//! 4. `cancelled` counts as stock's `_timer_cancelled_count` does, see [`Timers::pop_due`]. It is at
//!    least the number of dead entries, so it never underflows.
//!
//! # Shutdown
//! 5. `take_all` empties the heap; keys from before stay harmless, for generations go on.

use std::mem::size_of;

/// Names one pushed timer. It stays harmless when that timer is gone: it then finds nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TimerKey {
    slot: u32,
    generation: u32,
}

/// The timers of one loop.
#[derive(Debug)]
pub struct Timers<T> {
    /// Live and dead entries; a binary heap in heapq's array layout.
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    /// First vacant slot, or `NO_SLOT`.
    first_free: u32,
    /// Occupied slots. Invariant: equals the live entries of `heap`.
    live: usize,
    /// Raised by each cancel, lowered by each dead entry that `begin_turn` pops, zeroed when the
    /// heap is compacted or emptied.
    cancelled: usize,
}

impl<T> Timers<T> {
    /// No timers, and no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Vec::new(),
            first_free: NO_SLOT,
            live: 0,
            cancelled: 0,
        }
    }

    /// Adds a timer that is due once the clock has passed `when` (seconds, any value).
    pub fn push(&mut self, when: f64, payload: T) -> TimerKey {
        let key = self.occupy(payload);
        // CPython: heapq.heappush
        let last = self.heap.len();
        self.heap.push(Entry {
            when,
            slot: key.slot,
            generation: key.generation,
        });
        rise(&mut self.heap, 0, last);
        key
    }

    /// Takes a live timer out, in O(1). `None` when it has fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let payload = self.vacate(key.slot, key.generation)?;
        self.cancelled += 1;
        Some(payload)
    }

    /// The payload of a live timer.
    #[must_use]
    pub fn get(&self, key: TimerKey) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?;
        if slot.generation == key.generation {
            slot.payload.as_ref()
        } else {
            None
        }
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
            self.pop_entry();
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
            if let Some(payload) = self.vacate(entry.slot, entry.generation) {
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
            let key = TimerKey {
                slot: entry.slot,
                generation: entry.generation,
            };
            self.get(key).map(|payload| (entry.when, payload))
        })
    }

    /// Empties the heap and hands the live payloads over in heap-array order, to be dropped outside
    /// of any borrow.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<T> {
        let heap = std::mem::take(&mut self.heap);
        self.cancelled = 0;
        heap.iter()
            .filter_map(|entry| self.vacate(entry.slot, entry.generation))
            .collect()
    }

    fn occupy(&mut self, payload: T) -> TimerKey {
        self.live += 1;
        if let Some(slot) = self.slots.get_mut(self.first_free as usize) {
            let key = TimerKey {
                slot: self.first_free,
                generation: slot.generation,
            };
            self.first_free = slot.next_free;
            slot.payload = Some(payload);
            return key;
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(NO_SLOT);
        assert!(index < NO_SLOT, "2^32 - 1 timers are the limit");
        self.slots.push(Slot {
            generation: 0,
            next_free: NO_SLOT,
            payload: Some(payload),
        });
        TimerKey {
            slot: index,
            generation: 0,
        }
    }

    /// Empties the slot if `generation` is the current one; ends that generation.
    fn vacate(&mut self, index: u32, generation: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != generation {
            return None;
        }
        let payload = slot.payload.take()?;
        self.live -= 1;
        // The last generation stays, empty: such a slot is not offered again.
        if let Some(next_generation) = generation.checked_add(1) {
            slot.generation = next_generation;
            slot.next_free = self.first_free;
            self.first_free = index;
        }
        Some(payload)
    }

    fn is_live(&self, entry: &Entry) -> bool {
        self.slots
            .get(entry.slot as usize)
            .is_some_and(|slot| slot.generation == entry.generation && slot.payload.is_some())
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
        heap.retain(|entry| self.is_live(entry));
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

#[derive(Copy, Clone, Debug)]
struct Entry {
    when: f64,
    slot: u32,
    generation: u32,
}

const _: () = assert!(
    size_of::<Entry>() == 16,
    "the heap moves entries, so they stay small"
);

#[derive(Debug)]
struct Slot<T> {
    /// The generation of the payload, or of the next payload while vacant.
    generation: u32,
    /// The next vacant slot; meaningful only while vacant.
    next_free: u32,
    payload: Option<T>,
}

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

/// Ends the list of vacant slots.
const NO_SLOT: u32 = u32::MAX;
