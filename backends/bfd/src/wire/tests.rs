//! Tests of the control packets.

use proptest::prelude::*;

use super::*;

fn packet() -> Packet {
    Packet {
        diagnostic: Diagnostic::NEIGHBOR_SIGNALED_DOWN,
        state: State::Up,
        sequence: Sequence::Poll,
        demand: Demand::Off,
        multiplier: 3,
        my_discriminator: 0x0102_0304,
        your_discriminator: 0x0506_0708,
        desired_min_tx: 300_000,
        required_min_rx: 50_000,
        required_min_echo_rx: 0,
    }
}

/// The bytes of [`packet`] after a change.
fn with(change: impl Fn(&mut [u8; LENGTH])) -> Result<Packet, Malformed> {
    let mut bytes = packet().encode();
    change(&mut bytes);
    decode(&bytes)
}

#[test]
fn a_packet_is_laid_out_as_rfc_5880_says() {
    let expected =
        [0x23, 0xe0, 3, 24, 1, 2, 3, 4, 5, 6, 7, 8, 0, 4, 0x93, 0xe0, 0, 0, 0xc3, 0x50, 0, 0, 0, 0];
    assert_eq!(packet().encode(), expected);
}

#[test]
fn each_check_of_the_rfc_refuses_its_packet() {
    assert_eq!(with(|b| b[0] = 0x03), Err(Malformed::Version));
    assert_eq!(with(|b| b[0] = 0x43), Err(Malformed::Version));
    assert_eq!(with(|b| b[3] = 23), Err(Malformed::Length));
    assert_eq!(with(|b| b[3] = 25), Err(Malformed::Short));
    assert_eq!(with(|b| b[2] = 0), Err(Malformed::Multiplier));
    assert_eq!(with(|b| b[1] |= MULTIPOINT), Err(Malformed::Multipoint));
    assert_eq!(with(|b| b[1] |= AUTHENTICATION), Err(Malformed::Authenticated));
    assert_eq!(with(|b| b[1] |= FINAL), Err(Malformed::Sequence));
    assert_eq!(with(|b| b[4..8].fill(0)), Err(Malformed::MyDiscriminator));
    assert_eq!(with(|b| b[8..12].fill(0)), Err(Malformed::YourDiscriminator));
    assert_eq!(decode(&packet().encode()[..23]), Err(Malformed::Short));
    assert_eq!(decode(&[]), Err(Malformed::Short));
}

#[test]
fn only_a_side_that_is_down_may_not_know_us() {
    for (state, may) in
        [(State::AdminDown, true), (State::Down, true), (State::Init, false), (State::Up, false)]
    {
        let packet = Packet { state, your_discriminator: 0, ..packet() };
        assert_eq!(decode(&packet.encode()).is_ok(), may, "{state:?}");
    }
}

#[test]
fn bytes_after_the_packet_are_ignored() {
    let mut bytes = packet().encode().to_vec();
    bytes.extend([9; 40]);
    assert_eq!(decode(&bytes), Ok(packet()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn what_is_read_is_written_as_it_was(mut bytes in any::<[u8; LENGTH]>()) {
        bytes[0] = bytes[0] & 0x1f | 0x20;
        bytes[3] = 24;
        if let Ok(packet) = decode(&bytes) {
            bytes[1] &= !0x08; // C: of no meaning here
            prop_assert_eq!(packet.encode(), bytes);
        }
    }
}
