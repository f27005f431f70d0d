//! Every event once, whatever goes wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::api::{Api, Disk, Event, SHAPES, Shape};
use crate::pull::{Answer, Fault};

const START: i64 = 1_795_421_400_000;
const LOOK_BACK_S: u32 = 120;
/// Between two polls, milliseconds.
const EVERY: i64 = 20_000;
/// How long the story lasts, milliseconds.
const STORY: i64 = 900_000;

/// What happens to one poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    /// No answer: a timeout, a dropped connection.
    Silence,
    Status(u16),
    /// The answer breaks off.
    Cut,
    /// The same records twice in one page.
    Doubled,
    /// The process ends after so many durable steps.
    Crash(usize),
    /// The API does not know its own cursor any more.
    Expired,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Good),
        1 => Just(Fate::Silence),
        1 => prop_oneof![Just(429), Just(500), Just(503), Just(401)].prop_map(Fate::Status),
        1 => Just(Fate::Cut),
        1 => Just(Fate::Doubled),
        2 => (0..4_usize).prop_map(Fate::Crash),
        1 => Just(Fate::Expired),
    ]
}

fn events(late_ms: i64) -> impl Strategy<Value = Vec<Event>> {
    // Seconds of the clock: many events share an instant.
    let one = (0..STORY / 1000, prop_oneof![3 => Just(0), 1 => 0..late_ms]);
    proptest::collection::vec(one, 0..120).prop_map(|all| {
        all.into_iter().enumerate().map(|(number, (at, late))| Event { number, time: START + at * 1000, shown: START + at * 1000 + late }).collect()
    })
}

fn spoil(fate: Fate, mut answer: Answer) -> Answer {
    match fate {
        Fate::Status(status) => Answer { status, ..answer },
        Fate::Expired => Answer { status: 410, ..answer },
        Fate::Cut => {
            answer.body.truncate(answer.body.len() / 2);
            answer
        }
        Fate::Doubled => {
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            let (start, items) = text.split_once('[').unwrap();
            let (items, rest) = items.split_once(']').unwrap();
            let both = if items.is_empty() { String::new() } else { format!("{items},{items}") };
            answer.body = format!("{start}[{both}]{rest}").into();
            answer
        }
        _ => answer,
    }
}

/// Polls through the story and until all is quiet; gives what the log holds.
fn play(api: &Api, look_back_s: u32, fates: &[Fate], slow: i64) -> Vec<String> {
    let description = api.shape.description(look_back_s);
    let mut disk = Disk::default();
    let mut session = disk.start(&description);
    let mut fates = fates.iter().copied();
    let (mut now, end) = (START - api.skew, START - api.skew + STORY + 400_000);
    while now < end {
        let fate = fates.next().unwrap_or(Fate::Good);
        let request = session.ask(now).unwrap();
        let outcome =
            if fate == Fate::Silence { Err(Fault::Later("no answer".to_owned(), None)) } else { session.take(now, &spoil(fate, api.answer(&request, now))) };
        now += slow;
        match outcome {
            Ok(taken) => {
                let steps = if let Fate::Crash(steps) = fate { steps } else { usize::MAX };
                if disk.store(&mut session, &taken, steps) {
                    now += if taken.more { 0 } else { EVERY };
                } else {
                    session = disk.start(&description);
                }
            }
            Err(_) => now += 1000,
        }
    }
    disk.log
}

fn counted(log: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    log.iter().for_each(|record| *counts.entry(record.clone()).or_default() += 1);
    counts
}

fn wanted(api: &Api) -> BTreeMap<String, usize> {
    api.events.iter().map(|event| (format!(r#"{{"id":{},"time":{}}}"#, event.number, event.time), 1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_there_once(
        shape in proptest::sample::select(SHAPES.to_vec()),
        events in events(i64::from(LOOK_BACK_S) * 1000 - 1000),
        fates in proptest::collection::vec(fate(), 0..80),
        skew in prop_oneof![Just(0_i64), -7_200_000..7_200_000_i64],
        reversed in any::<bool>(),
        slow in 0..3000_i64,
    ) {
        let api = Api { shape, events, skew, reversed };
        let log = play(&api, LOOK_BACK_S, &fates, slow);
        prop_assert_eq!(counted(&log), wanted(&api));
    }
}

/// Late events, none of which is later than the look-back.
fn late() -> Vec<Event> {
    let event = |number: usize| {
        let time = START + i64::try_from(number).unwrap() * 5000;
        Event { number, time, shown: time + if number % 10 == 3 { 90_000 } else { 0 } }
    };
    (0..150).map(event).collect()
}

#[test]
fn without_look_back_late_events_are_lost() {
    for shape in [Shape::NextUrl, Shape::Token, Shape::Number, Shape::Offset, Shape::Capped, Shape::Link] {
        let api = Api { shape, events: late(), skew: 0, reversed: false };
        let lost = |look_back| wanted(&api).len() - counted(&play(&api, look_back, &[], 0)).len();
        println!("{shape:?}: of {} events lost {} with look-back, {} without", api.events.len(), lost(LOOK_BACK_S), lost(0));
        assert_eq!(lost(LOOK_BACK_S), 0, "{shape:?}");
        assert!(lost(0) > 0, "{shape:?}: the control loses nothing, so the test sees nothing");
    }
}

#[test]
fn keys_are_forgotten_when_they_cannot_come_again() {
    let api = Api { shape: Shape::Token, events: late(), skew: 0, reversed: false };
    let description = api.shape.description(LOOK_BACK_S);
    let (mut disk, mut most) = (Disk::default(), 0);
    let mut session = disk.start(&description);
    for step in 0..400 {
        let now = START + step * 4000;
        let request = session.ask(now).unwrap();
        let taken = session.take(now, &api.answer(&request, now)).unwrap();
        assert!(disk.store(&mut session, &taken, usize::MAX));
        most = most.max(session.remembered());
    }
    assert_eq!(disk.log.len(), api.events.len());
    assert!(most < 60, "{most} keys of {} were remembered at once", api.events.len());
}
