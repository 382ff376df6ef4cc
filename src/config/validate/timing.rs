//! The times of an election.

use crate::config::gather::Gathered;
use crate::config::problem::Source;
use crate::config::value::parse;

const TIMES: [&str; 3] = ["vip_leaseduration", "vip_renewdeadline", "vip_retryperiod"];
const NAMES: [&str; 2] = ["vip_leasename", "svc_leasename"];

/// duration > renew deadline > 1.2 × retry period: client-go panics otherwise.
pub(super) fn lease(gathered: &mut Gathered) {
    if TIMES.iter().any(|name| gathered.was_refused(name)) {
        return;
    }
    let [duration, deadline, retry] = TIMES.map(|name| gathered.integer(name));
    if duration <= deadline {
        let why =
            format!("not less than the lease; accepted: less than vip_leaseduration={duration}");
        gathered.blame("vip_renewdeadline", why);
    }
    if deadline * 10 <= retry * 12 {
        let why =
            format!("too long; accepted: 1.2 times it is less than vip_renewdeadline={deadline}");
        gathered.blame("vip_retryperiod", why);
    }
}

/// Where nobody is elected, kube-vip starts with any times and names of Leases. The defaults are used
/// in place of what could not be an election's.
pub(super) fn without_election(gathered: &mut Gathered) {
    if gathered.elects() {
        return;
    }
    for name in NAMES {
        if gathered.was_refused(name) {
            back_to_defaults(gathered, &[name]);
        }
    }
    let [duration, deadline, retry] = TIMES.map(|name| gathered.integer(name));
    let refused = TIMES.iter().any(|name| gathered.was_refused(name));
    if refused || duration <= deadline || deadline * 10 <= retry * 12 {
        back_to_defaults(gathered, &TIMES);
    }
}

fn back_to_defaults(gathered: &mut Gathered, names: &[&'static str]) {
    gathered.unfit.retain(|problem| !names.contains(&problem.setting.as_str()));
    let mut used = Vec::new();
    for name in names {
        let Some(found) = gathered.values.get_mut(name) else { continue };
        let setting = found.setting;
        if let Ok(parsed) = parse(setting, setting.default) {
            found.value = parsed.value;
            found.source = Source::Default;
            used.push(format!("{name}={}", setting.default));
        }
    }
    gathered.warnings.push(format!(
        "{} {} used: what was given could not be an election's, and nobody is elected in this mode",
        used.join(", "),
        if used.len() == 1 { "is" } else { "are" }
    ));
}
