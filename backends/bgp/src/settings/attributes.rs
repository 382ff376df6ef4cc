//! Path attributes that every route carries: `bgp_communities` and the like.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Attributes;
use super::reader::Reader;

/// Communities with a name (RFC 1997, RFC 8326, RFC 3765).
const WELL_KNOWN: &[(&str, u32)] = &[
    ("graceful-shutdown", 0xffff_0000),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("local-as", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

pub(super) fn read(reader: &mut Reader<'_>) -> Attributes {
    let whole = "a whole number from 0 to 4294967295, or nothing";
    Attributes {
        communities: communities(reader),
        large_communities: large_communities(reader),
        local_preference: reader.value("bgp_local_preference", whole),
        med: reader.value("bgp_med", whole),
        prepend: u8::try_from(reader.number("bgp_as_path_prepend", (0, 10), 0)).unwrap_or(0),
    }
}

fn communities(reader: &mut Reader<'_>) -> Vec<u32> {
    let parsed = items(reader.text("bgp_communities")).map(community).collect::<Option<Vec<_>>>();
    parsed.unwrap_or_else(|| {
        let why = "not all of them are communities; accepted: 65000:100, no-export, no-advertise, \
                   local-as, no-peer, graceful-shutdown, comma separated";
        reader.refuse("bgp_communities", why);
        Vec::new()
    })
}

fn community(text: &str) -> Option<u32> {
    if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(*value);
    }
    let (high, low) = text.split_once(':')?;
    let (high, low): (u16, u16) = (high.parse().ok()?, low.parse().ok()?);
    Some(u32::from(high) << 16 | u32::from(low))
}

fn large_communities(reader: &mut Reader<'_>) -> Vec<[u32; 3]> {
    let parsed = items(reader.text("bgp_large_communities")).map(large_community);
    parsed.collect::<Option<Vec<_>>>().unwrap_or_else(|| {
        let why = "not all of them are large communities (RFC 8092); accepted: 65000:1:2, comma \
                   separated";
        reader.refuse("bgp_large_communities", why);
        Vec::new()
    })
}

fn large_community(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split(':').map(|part| part.parse().ok());
    let community = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(community)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}
