//! Raw records that we wrote, and the events that they must become.

#[test]
fn every_scenario_of_every_connector_holds() {
    let (registry, _) = weft_testkit::registry();
    let mut wrong = String::new();
    for connector in weft_connectors::files() {
        let folder = weft_testkit::root().join("connectors").join(connector.name).join("scenarios");
        if let Err(differences) = weft_testkit::scenario::run(&registry, &folder) {
            wrong.push_str(&differences);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
