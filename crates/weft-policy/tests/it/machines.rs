//! Checks of machine identities: each says why, and comes out as its own cases say.

use std::path::PathBuf;

use weft_policy::{Check, Status, Subject};

#[test]
fn every_check_explains_itself_and_holds_for_its_cases() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../content/machines");
    let mut requirements = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let check = Check::parse(&name, &std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(check.id, name);
        assert!(
            check.why.len() > 60 && check.remediation.len() > 40 && !check.references.is_empty() && !check.false_positives.is_empty(),
            "{name} does not explain itself"
        );
        requirements.insert(check.framework[0].control.clone());
        assert!(
            check.case.iter().any(|case| case.passes) && check.case.iter().any(|case| !case.passes),
            "{name} needs a case that passes and one that does not"
        );
        for case in &check.case {
            let subject = Subject { kind: check.subject.clone(), uid: "m".into(), name: "m".into(), facts: case.facts.clone() };
            let wanted = if case.passes { Status::Pass } else { Status::Fail };
            assert_eq!(check.evaluate(&subject).unwrap().status, wanted, "{name}: {:?}", case.facts);
        }
        let nothing = Subject { kind: check.subject.clone(), uid: "m".into(), name: "m".into(), facts: [].into() };
        assert_eq!(check.evaluate(&nothing).unwrap().status, Status::Unknown, "{name}: what nothing tells");
    }
    assert_eq!(requirements.len(), 10, "{requirements:?}");
}
