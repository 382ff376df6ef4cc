//! Lines out of chunks: a watch is JSON, one event a line, cut into chunks anywhere.

/// Collects chunks and gives out whole lines. Holds at most one line's limit and one chunk.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    buffer: Vec<u8>,
    /// Up to here the buffer has been given out.
    taken: usize,
    /// Up to here the buffer has no line's end.
    searched: usize,
}

/// A line is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong;

impl Lines {
    /// Lines of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), taken: 0, searched: 0 }
    }

    /// Adds a chunk. Take all lines out before the next one.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.taken.min(self.buffer.len()));
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line without its end; empty lines are left out.
    ///
    /// # Errors
    /// The line, whole or not yet, is longer than the limit.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                let held = self.buffer.len().saturating_sub(self.taken);
                return if held > self.limit { Err(LineTooLong) } else { Ok(None) };
            };
            let start = self.taken;
            let end = self.searched + length;
            self.taken = end + 1;
            self.searched = end + 1;
            if end - start > self.limit {
                return Err(LineTooLong);
            }
            let blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
            if self.buffer.get(start..end).is_some_and(|line| !blank(line)) {
                return Ok(self.buffer.get(start..end));
            }
        }
    }

    /// Whether there is the beginning of a line that never ended.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        self.taken < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(lines: &mut Lines) -> Result<Vec<Vec<u8>>, LineTooLong> {
        let mut out = Vec::new();
        while let Some(line) = lines.next_line()? {
            out.push(line.to_vec());
        }
        Ok(out)
    }

    #[test]
    fn a_line_longer_than_the_limit_is_refused_before_its_end_has_come() {
        let mut lines = Lines::new(8);
        lines.push(b"12345678");
        assert_eq!(drain(&mut lines), Ok(vec![]));
        lines.push(b"9");
        assert_eq!(drain(&mut lines), Err(LineTooLong));
        let mut lines = Lines::new(8);
        lines.push(b"123456789\n");
        assert_eq!(drain(&mut lines), Err(LineTooLong));
    }

    proptest! {
        #[test]
        fn lines_come_out_whole_however_they_are_cut(
            texts in proptest::collection::vec("[a-z {}\":\\r]{0,20}", 0..12),
            cuts in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let whole: Vec<u8> = texts.iter().flat_map(|text| format!("{text}\n").into_bytes()).collect();
            let mut lines = Lines::new(64);
            let (mut out, mut rest, mut turn) = (Vec::new(), whole.as_slice(), 0);
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(cuts[turn % cuts.len()].min(rest.len()));
                lines.push(chunk);
                out.extend(drain(&mut lines).unwrap());
                prop_assert!(lines.buffer.len() <= 64 + chunk.len());
                (rest, turn) = (after, turn + 1);
            }
            let expected: Vec<Vec<u8>> = texts
                .into_iter()
                .filter(|text| !text.trim_ascii().is_empty())
                .map(String::into_bytes)
                .collect();
            prop_assert_eq!(out, expected);
            prop_assert!(!lines.has_rest());
        }

        #[test]
        fn any_bytes_are_cut_or_refused_within_bounded_memory(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20),
        ) {
            let mut lines = Lines::new(50);
            for chunk in chunks {
                lines.push(&chunk);
                prop_assert!(lines.buffer.len() <= 50 + chunk.len());
                if drain(&mut lines).is_err() {
                    break;
                }
            }
        }
    }
}
