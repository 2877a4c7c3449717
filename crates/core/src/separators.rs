//! Where the first of some separators ends in a stream of bytes. CPython: StreamReader.readuntil
//!
//! Each byte is looked at once, however many separators there are: no match can end before a byte that
//! is the last of one of them.

use memchr::{memchr, memmem};

/// A separator in the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The place of its first byte.
    pub start: usize,
    /// The place after its last byte.
    pub end: usize,
}

/// The first place of `separator`, which is not empty, in `data` from `offset` on.
#[must_use]
pub fn find(data: &[u8], offset: usize, separator: &[u8]) -> Option<Found> {
    let rest = data.get(offset..)?;
    let place = match separator {
        [byte] => memchr(*byte, rest),
        _ => memmem::find(rest, separator),
    }?;
    Some(Found { start: offset + place, end: offset + place + separator.len() })
}

/// The separator that ends first in `data` from `offset` on; of those that end together the shortest.
/// `separators` come shortest first, and none is empty.
#[must_use]
pub fn find_any(data: &[u8], offset: usize, separators: &[&[u8]]) -> Option<Found> {
    if let [separator] = separators {
        return find(data, offset, separator);
    }
    let mut is_last = [false; 256];
    for separator in separators {
        is_last[usize::from(*separator.last()?)] = true;
    }
    let ends = (offset..data.len()).filter(|place| is_last[usize::from(data[*place])]);
    ends.map(|place| place + 1).find_map(|end| {
        let known = separators.iter().find(|separator| data[offset..end].ends_with(separator))?;
        Some(Found { start: end - known.len(), end })
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, find, find_any};
    use proptest::prelude::*;

    /// What CPython does: the first place of each separator; the one that ends first, shortest first.
    fn one_by_one(data: &[u8], offset: usize, separators: &[&[u8]]) -> Option<Found> {
        let mut best: Option<Found> = None;
        for separator in separators {
            let place = (offset..=data.len()).find(|place| data[*place..].starts_with(separator));
            let Some(start) = place else { continue };
            let end = start + separator.len();
            if best.is_none_or(|best| end < best.end) {
                best = Some(Found { start, end });
            }
        }
        best
    }

    #[test]
    fn a_separator_is_found_from_the_offset_on() {
        assert_eq!(find(b"a\nb\n", 0, b"\n"), Some(Found { start: 1, end: 2 }));
        assert_eq!(find(b"a\nb\n", 2, b"\n"), Some(Found { start: 3, end: 4 }));
        assert_eq!(find(b"a\r\nb", 0, b"\r\n"), Some(Found { start: 1, end: 3 }));
        assert_eq!(find(b"a\r\nb", 2, b"\r\n"), None);
        assert_eq!(find(b"a", 5, b"\n"), None);
    }

    proptest! {
        #[test]
        fn several_are_found_as_one_by_one(
            data in proptest::collection::vec(0_u8..3, 0..40),
            offset in 0_usize..10,
            separators in proptest::collection::vec(proptest::collection::vec(0_u8..3, 1..4), 1..4),
        ) {
            let offset = offset.min(data.len());
            let mut separators: Vec<&[u8]> = separators.iter().map(Vec::as_slice).collect();
            separators.sort_by_key(|separator| separator.len());
            let expected = one_by_one(&data, offset, &separators);
            prop_assert_eq!(find_any(&data, offset, &separators), expected);
        }
    }
}
