//! The name of the image in a manifest.

use crate::build_info::VERSION;

/// Where images will be, once they are published.
pub(super) const IMAGE: &str = "registry.example/viplet";

/// The image as asked for; without tag and digest it is this release.
///
/// # Errors
/// Says what is accepted.
pub(super) fn image(given: Option<&str>) -> Result<String, String> {
    let name = given.unwrap_or(IMAGE).trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !(starts && ends && name.chars().all(allowed)) {
        return Err(format!(
            "--image={}: not the name of an image; accepted: {IMAGE}, {IMAGE}:{VERSION}, or the \
             name with @sha256:…",
            name.escape_debug()
        ));
    }
    let last = name.rsplit('/').next().unwrap_or_default();
    let complete = last.contains([':', '@']);
    Ok(if complete { name.to_owned() } else { format!("{name}:{VERSION}") })
}

#[cfg(test)]
mod tests;
