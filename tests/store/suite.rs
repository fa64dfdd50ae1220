//! Runs every case on every database.

use std::future::Future;
use std::pin::Pin;

use super::place::{Place, Postgres};
use super::{
    bounds, conversations, keys, names, opening, paging, reports, retention, secret, turns, usage,
};

pub type Case = (&'static str, fn(Place) -> Pin<Box<dyn Future<Output = ()>>>);

/// A list of cases by their names.
macro_rules! list {
    ($($name:ident),* $(,)?) => {
        pub const CASES: &[super::suite::Case] = &[$((stringify!($name), |place| Box::pin($name(place)))),*];
    };
}
pub(crate) use list;

fn all() -> impl Iterator<Item = &'static Case> {
    [
        turns::CASES,
        conversations::CASES,
        names::CASES,
        bounds::CASES,
        opening::CASES,
        keys::CASES,
        secret::CASES,
        usage::CASES,
        reports::CASES,
        paging::CASES,
        retention::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Every case in a thread and a database of its own; says which have failed.
fn run(place: impl Fn(&str) -> Place) {
    let running: Vec<_> = all()
        .map(|(name, case)| {
            let place = place(name);
            let thread = std::thread::Builder::new().name((*name).to_owned());
            let thread = thread.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(case(place));
            });
            (name, thread.expect("a thread"))
        })
        .collect();
    let failed: Vec<_> = running
        .into_iter()
        .filter_map(|(name, thread)| thread.join().is_err().then_some(name))
        .collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
fn every_case_holds_in_memory() {
    run(|_| Place::memory());
}

#[test]
fn every_case_holds_in_a_sqlite_file() {
    run(|_| Place::file());
}

#[test]
fn every_case_holds_in_postgresql() {
    let server = Postgres::start();
    run(|name| Place::postgres(&server, name));
}
