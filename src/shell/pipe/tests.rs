//! Pipes that nobody reads.

use std::fs::File;
use std::io::{Read as _, pipe};
use std::thread;

use super::*;

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_us_up() {
    let (mut reader, writer) = pipe().unwrap();
    let line = [b'x'; AT_ONCE];
    let mut lines = 0;
    let full = loop {
        match offer(&writer, &line) {
            Ok(()) => lines += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    assert!(lines > 0);
    // Somebody reads again: it goes on.
    let mut read = vec![0; AT_ONCE * lines];
    reader.read_exact(&mut read).unwrap();
    offer(&writer, &line).unwrap();
}

#[test]
fn what_is_longer_than_a_chunk_arrives_whole() {
    let (mut reader, writer) = pipe().unwrap();
    let text: Vec<u8> = (0..AT_ONCE * 3 + 7).map(|n| (n % 251) as u8).collect();
    let expected = text.clone();
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    offer(&writer, &text).unwrap();
    drop(writer);
    assert_eq!(reading.join().unwrap(), expected);
}

#[test]
fn a_closed_pipe_is_an_error_and_no_end_of_the_process() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(offer(&writer, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    offer(File::options().write(true).open("/dev/null").unwrap(), b"x").unwrap();
}
