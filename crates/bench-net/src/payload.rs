//! What is sent and what must come back. Each request of each connection differs from its
//! neighbours, so that a reply to somebody else, or to an earlier request, is noticed.

use std::ops::Range;

/// How many different requests there are.
const VARIETY: usize = 256;
/// How far they are apart in the noise, where they may overlap.
const ALIGNMENT: usize = 64;

/// Noise that requests are cut from, and the reply if it is not an echo.
pub(crate) struct Payload {
    noise: Vec<u8>,
    /// Bytes from the beginning of one request to that of the next.
    step: usize,
    size: usize,
    fixed_reply: Option<Vec<u8>>,
}

impl Payload {
    /// Requests of `size` bytes, answered by themselves or else by `fixed_reply`.
    pub(crate) fn new(size: usize, fixed_reply: Option<Vec<u8>>) -> Self {
        Self { noise: noise(size + VARIETY * ALIGNMENT), step: ALIGNMENT, size, fixed_reply }
    }

    /// Requests of `size` bytes, one at least, of which the last alone is a newline; echoed.
    pub(crate) fn lines(size: usize) -> Self {
        let mut noise = noise(size * VARIETY);
        noise.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'.');
        for last in noise.iter_mut().skip(size - 1).step_by(size) {
            *last = b'\n';
        }
        Self { noise, step: size, size, fixed_reply: None }
    }

    /// The bytes of one request.
    pub(crate) fn request(&self, connection: u64, sequence: u64) -> &[u8] {
        &self.noise[self.cut(connection, sequence)]
    }

    /// The bytes that must come back for it.
    pub(crate) fn reply(&self, connection: u64, sequence: u64) -> &[u8] {
        match &self.fixed_reply {
            Some(reply) => reply,
            None => self.request(connection, sequence),
        }
    }

    fn cut(&self, connection: u64, sequence: u64) -> Range<usize> {
        let mixed = connection.wrapping_mul(0x9E37_79B9).wrapping_add(sequence.wrapping_mul(7));
        let start = (mixed % VARIETY as u64) as usize * self.step;
        start..start + self.size
    }
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| next_random(&mut state).to_le_bytes());
    words.flatten().take(size).collect()
}

/// xorshift64*: any noise would do.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_a_row_and_side_by_side_differ() {
        let payload = Payload::new(64, None);
        for (connection, sequence) in [(0, 0), (5, 9), (999, 1 << 30)] {
            let request = payload.request(connection, sequence);
            assert_ne!(request, payload.request(connection, sequence + 1));
            assert_ne!(request, payload.request(connection + 1, sequence));
            assert_eq!(request, payload.reply(connection, sequence));
        }
    }

    #[test]
    fn a_line_has_one_newline_and_it_is_the_last_byte() {
        let payload = Payload::lines(1024);
        for sequence in 0..2 * VARIETY as u64 {
            let line = payload.request(3, sequence);
            assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(1023));
            assert_ne!(line, payload.request(3, sequence + 1));
            assert_eq!(line, payload.reply(3, sequence));
        }
    }
}
