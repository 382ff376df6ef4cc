//! The terminal: lines that stay, and below them a table that is drawn again and again. Where
//! standard output is no terminal, only the lines.

use std::io::{IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::table::{Ink, Line};

/// Below this many rows the table and what is told above it do not fit.
const FEWEST_ROWS: u16 = 14;
const PLAIN_WIDTH: usize = 100;
const FEWEST_COLUMNS: usize = 40;

/// What standard output can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A terminal: the cursor moves.
    Live,
    /// A file, a pipe, or a terminal that is too small.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    On,
    Off,
}

/// Standard output. The cursor is shown again when it is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    kind: Kind,
    colour: Colour,
    /// Lines of the table that stand on the screen now.
    drawn: usize,
}

impl Screen {
    /// Finds out what standard output is.
    pub(super) fn open() -> Self {
        let out = std::io::stdout();
        let able = std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let rows = tcgetwinsize(&out).map_or(0, |size| size.ws_row);
        let live = out.is_terminal() && able && rows >= FEWEST_ROWS;
        let colour = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = Self {
            kind: if live { Kind::Live } else { Kind::Plain },
            colour: if colour { Colour::On } else { Colour::Off },
            drawn: 0,
        };
        if live {
            put("\x1b[?25l");
        }
        screen
    }

    /// What it can do.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Columns that a line may fill. The last one stays free: some terminals wrap when it is filled.
    pub(super) fn width(&self) -> usize {
        if self.kind == Kind::Plain {
            return PLAIN_WIDTH;
        }
        let columns = tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
        columns.saturating_sub(1).max(FEWEST_COLUMNS)
    }

    /// Prints lines that stay; the table is gone until it is drawn again.
    pub(super) fn say(&mut self, lines: &[Line]) {
        let mut text = self.erase();
        self.drawn = 0;
        lines.iter().for_each(|line| text += &self.inked(line, "\n"));
        put(&text);
    }

    /// Draws the table, over the one that stands there.
    pub(super) fn draw(&mut self, lines: &[Line]) {
        if self.kind == Kind::Plain {
            return;
        }
        let mut text = self.erase();
        lines.iter().for_each(|line| text += &self.inked(line, "\x1b[K\n"));
        self.drawn = lines.len();
        put(&text);
    }

    /// To the table's first line, and nothing left from there on.
    fn erase(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    fn inked(&self, line: &Line, end: &str) -> String {
        let code = match (self.colour, line.ink) {
            (Colour::Off, _) | (_, Ink::Plain) => return format!("{}{end}", line.text),
            (_, Ink::Bold) => "1",
            (_, Ink::Good) => "32",
            (_, Ink::Bad) => "31",
            (_, Ink::Dim) => "2",
        };
        format!("\x1b[{code}m{}\x1b[0m{end}", line.text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.kind == Kind::Live {
            put("\x1b[?25h");
        }
    }
}

/// One write, so that nothing flickers. A reader that went away (`| head`) is no reason to stop
/// before the lab is taken down.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
