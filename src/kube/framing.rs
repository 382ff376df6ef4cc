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
mod tests;
