//! A backend that the kernel refuses at first.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

struct Empty;

impl Backend for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }
    fn observe(&mut self) -> Result<Observation, Refusal> {
        Ok(Observation::default())
    }
    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        commands.iter().map(|_| Ok(())).collect()
    }
    fn poll_notice(&mut self, _cx: &mut Context<'_>) -> Poll<Notice> {
        Poll::Pending
    }
}

#[test]
fn a_backend_that_the_kernel_refuses_is_opened_when_it_no_longer_does() {
    let allowed = Rc::new(Cell::new(false));
    let asked = Rc::clone(&allowed);
    let mut opening = Opening::new(Box::new(move || match asked.get() {
        true => Ok(Box::new(Empty)),
        false => {
            let reason = "needs the capability NET_RAW".to_owned();
            Err(Refusal { class: Class::Forbidden, reason })
        }
    }));
    assert!(opening.observe().unwrap_err().reason.contains("NET_RAW"));
    opening.timer = Timer::after(Duration::ZERO);
    let waits = std::future::poll_fn(|cx| Poll::Ready(opening.poll_notice(cx).is_pending()));
    assert!(smol::block_on(waits), "the same refusal is not said twice");
    allowed.set(true);
    opening.timer = Timer::after(Duration::ZERO);
    let notice = smol::block_on(std::future::poll_fn(|cx| opening.poll_notice(cx)));
    assert_eq!(notice, Notice::Snapshot(Observation::default()));
    assert_eq!(opening.name(), "empty");
}
