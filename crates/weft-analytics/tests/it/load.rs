//! Broken rules are refused one by one, with file, line and reason.

use proptest::prelude::*;
use weft_analytics::{FieldMap, RuleFile, compile, sigma};

use crate::content::fields;

fn faults(texts: &[&str]) -> (usize, Vec<String>) {
    let files: Vec<RuleFile> = texts.iter().enumerate().map(|(at, text)| RuleFile { name: format!("{at}.yml"), text: (*text).into() }).collect();
    let (engine, faults) = compile(&files, &fields());
    (engine.len(), faults.iter().map(ToString::to_string).collect())
}

const GOOD: &str = "title: good\nname: good\nlogsource: {category: authentication}\ndetection:\n  sel:\n    user.name: ada\n  condition: sel\n";

#[test]
fn a_broken_rule_does_not_stop_the_others() {
    let unknown = GOOD.replace("good", "bad").replace("condition: sel", "condition: selection");
    let modifier = GOOD.replace("good", "bad").replace("user.name:", "user.name|base46:");
    let look = GOOD.replace("good", "bad").replace("user.name: ada", "user.name|re: '(?<=x'");
    let (count, faults) = faults(&[&unknown, GOOD, &modifier, &look, "a: [", "- x"]);
    assert_eq!(count, 1);
    assert_eq!(faults[0], "0.yml:7: `selection` in the condition names no selection; there are `sel`");
    assert!(faults[1].starts_with("2.yml:6: the modifier `base46` is not known;"), "{}", faults[1]);
    assert!(faults[2].starts_with("3.yml:6: the regular expression `(?<=x` is not understood: "), "{}", faults[2]);
    assert!(faults[3].starts_with("4.yml:"), "{}", faults[3]);
    assert_eq!(faults[4], "5.yml:1: a rule must be a mapping");
}

#[test]
fn correlations_need_their_rules() {
    let correlation = |name: &str, rule: &str| {
        format!("title: {name}\nname: {name}\ncorrelation:\n  type: event_count\n  rules: [{rule}]\n  timespan: 5m\n  condition: {{gte: 3}}\n")
    };
    assert_eq!(faults(&[GOOD, &correlation("a", "good"), &correlation("b", "a")]), (3, vec![]));
    let (count, faults) = faults(&[GOOD, &correlation("a", "nowhere"), &correlation("b", "a"), &correlation("c", "d"), &correlation("d", "c")]);
    assert_eq!(count, 1);
    assert!(faults.iter().any(|fault| fault.contains("needs the rule `nowhere`")) && faults.iter().any(|fault| fault.contains("in a circle")), "{faults:?}");
}

#[test]
fn a_rule_that_can_never_fire_is_told() {
    let (count, faults) = faults(&[&GOOD.replace("{category: authentication}", "{product: toaster}")]);
    assert_eq!((count, faults), (1, vec!["0.yml:1: the rule can never fire here: no kind of event is known for the logsource `toaster`".to_owned()]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_never_panic(text in "[a-c()*_| \u{e9}]{0,40}|(not |all of |1 of |them |a |and |or |\\( |\\) ){0,20}") {
        let _outcome = sigma::condition::parse(&text, &["a".into(), "b_c".into()], 1);
    }

    #[test]
    fn rules_never_panic(value in "\\PC{0,40}", key in "[a-z.|*\\[\\]{}&!:'\" \n-]{0,40}") {
        for text in [value.clone(), key.clone(), format!("title: t\nlogsource: {{product: x}}\ndetection:\n  s:\n    {key}: {value}\n  condition: {value}\n")] {
            let _outcome = compile(&[RuleFile { name: "f".into(), text }], &FieldMap::default());
        }
    }
}
