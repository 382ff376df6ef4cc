//! Lines out of chunks that are cut anywhere.

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
