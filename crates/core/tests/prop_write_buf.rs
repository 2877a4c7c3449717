//! The write buffer against a plain list of bytes: what is still to be sent, and which chunks come back.

use std::io::IoSlice;

use ferrio_core::write_buf::{Chunks, WriteBuf};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A chunk of so many bytes.
    Push(usize),
    /// A share of what waits was sent, in 255ths.
    Advance(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(0_usize..6).prop_map(Step::Push), any::<u8>().prop_map(Step::Advance)];
    prop::collection::vec(step, 0..40)
}

fn flat(chunks: Chunks<Vec<u8>>) -> Vec<u8> {
    chunks.first.into_iter().chain(chunks.more).flatten().collect()
}

/// Each byte has the number of its place.
fn numbered(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(|place| place as u8).collect()
}

proptest! {
    #[test]
    fn all_bytes_leave_once_and_in_order(steps in steps()) {
        let mut buffer = WriteBuf::<Vec<u8>>::new();
        let (mut pushed, mut sent, mut returned) = (0, 0, Vec::new());
        for step in steps {
            match step {
                Step::Push(count) => {
                    let chunk = numbered(pushed, count);
                    prop_assert_eq!(buffer.push(chunk, 0).is_some(), count == 0);
                    pushed += count;
                }
                Step::Advance(share) => {
                    let count = buffer.len() * usize::from(share) / 255;
                    returned.extend(flat(buffer.advance(count)));
                    sent += count;
                }
            }
            let waiting = numbered(sent, pushed - sent);
            let mut slices = Vec::<IoSlice<'_>>::new();
            buffer.slices(&mut slices, usize::MAX);
            prop_assert_eq!(slices.len(), buffer.chunks());
            let shown: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            prop_assert_eq!(&shown, &waiting);
            prop_assert!(waiting.starts_with(buffer.first()));
            prop_assert_eq!(buffer.first().is_empty(), buffer.is_empty());
            prop_assert_eq!(buffer.to_vec(), waiting);
            // A chunk comes back when its last byte is sent, not before.
            prop_assert!(returned.len() <= sent);
        }
        returned.extend(flat(buffer.take_all()));
        prop_assert_eq!(returned, numbered(0, pushed));
        prop_assert_eq!((buffer.len(), buffer.chunks()), (0, 0));
    }
}

#[test]
fn the_sent_part_of_the_first_chunk_is_skipped() {
    let mut buffer = WriteBuf::<Vec<u8>>::new();
    assert_eq!(buffer.push(b"abc".to_vec(), 3), Some(b"abc".to_vec()));
    assert!(buffer.push(b"abc".to_vec(), 2).is_none());
    assert!(buffer.push(b"def".to_vec(), 0).is_none());
    assert_eq!(buffer.to_vec(), b"cdef");
    assert_eq!(flat(buffer.advance(2)), b"abc");
    assert_eq!(buffer.first(), b"ef");
}
