//! Tools that nobody has foreseen: a third of the connectors is hidden, the generic streams take
//! their records.

use weft_testkit::{say, strangers};

/// Share of the records that another tool's stream may take for its own: it sees a form that two
/// tools share (a request in the common log format, a wrapper of a cloud).
const MISTAKEN_MAX: f64 = 0.05;
/// Share of the records in the class that their own connector gives them.
const SAME_CLASS_MIN: f64 = 0.50;
/// Facts that a stranger's record must tell, each in this share of the records that have it.
const FACTS_MIN: [(&str, f64); 8] =
    [("user", 0.70), ("source", 0.70), ("destination", 0.55), ("host", 0.60), ("time", 0.70), ("hash", 0.65), ("file", 0.50), ("status", 0.60)];

#[test]
fn a_tool_that_is_hidden_is_still_understood() {
    let outcome = strangers::measure(1);
    say(&outcome.text());
    let share = |found: usize, all: usize| f64::from(u32::try_from(found).unwrap()) / f64::from(u32::try_from(all.max(1)).unwrap());
    assert!(outcome.generic > 300);
    assert!(outcome.rejected == 0, "{:#?}", outcome.notes.iter().filter(|note| note.starts_with("rejected")).collect::<Vec<_>>());
    assert!(share(outcome.mistaken.len(), outcome.records) <= MISTAKEN_MAX, "{:#?}", outcome.mistaken);
    assert!(share(outcome.same_class, outcome.generic) >= SAME_CLASS_MIN, "{}", outcome.text());
    for (fact, least) in FACTS_MIN {
        let (found, all) = outcome.facts.get(fact).copied().unwrap_or_default();
        assert!(share(found, all) >= least, "{fact}: {found} of {all}");
    }
}
