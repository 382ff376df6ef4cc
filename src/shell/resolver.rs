//! DNS look-ups, through the system's resolver on a thread that lives for the length of a call.

use std::net::IpAddr;
use std::time::Duration;

use smol::future::FutureExt as _;

/// The system's resolver may try several servers; then it has had its time.
const LIMIT: Duration = Duration::from_secs(10);

/// The addresses of a name, in the resolver's order.
///
/// # Errors
/// What the resolver said.
pub async fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    let asked = async {
        let found = smol::net::resolve((name, 0)).await.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|address| address.ip()).collect())
    };
    let late = async {
        smol::Timer::after(LIMIT).await;
        Err(format!("no answer within {} s", LIMIT.as_secs()))
    };
    asked.or(late).await
}
