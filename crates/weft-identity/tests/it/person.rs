//! One person: which keys link, which do not, and what persons decide.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_identity::person::{By, Decision, IdKind, Identity, Persons, Usage, Words, resolve};
use weft_model::Timestamp;

use IdKind::{ClaimedEmail, Email, Employee, Family, Given, Immutable, Login, Name};

/// An account: key, source, and what it is recognised by.
type Account = (String, String, Vec<(IdKind, String)>);

fn account(key: &str, ids: &[(IdKind, &str)]) -> Account {
    let source = key.split(':').next().unwrap();
    (key.to_owned(), source.to_owned(), ids.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect())
}

fn identities(accounts: &[Account]) -> Vec<Identity<'_>> {
    accounts
        .iter()
        .map(|(key, source, ids)| Identity { key, source, usage: Usage::Unsaid, ids: ids.iter().map(|(kind, value)| (*kind, value.as_str())).collect() })
        .collect()
}

fn words() -> Words {
    Words { service: vec!["svc-*".into()], shared: vec!["office".into()] }
}

fn persons(accounts: &[Account], decisions: &[Decision]) -> Persons {
    resolve(&identities(accounts), &[], decisions, &words())
}

/// Keys of each person.
fn sets(persons: &Persons) -> BTreeSet<Vec<String>> {
    (0..persons.persons.len()).map(|person| persons.keys(person)).collect()
}

fn wanted(sets: &[&[&str]]) -> BTreeSet<Vec<String>> {
    sets.iter().map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).collect()
}

#[test]
fn keys_link_in_order_of_strength_with_evidence() {
    let accounts = [
        account("hr:1", &[(Employee, "0042"), (Given, "Ada"), (Family, "Lovelace")]),
        account("okta:ada", &[(Employee, "42"), (Email, "Ada@x.org"), (Immutable, "S-1-5-21-7")]),
        account("ad:ada", &[(Immutable, "s-1-5-21-7"), (Login, "alovelace")]),
        account("git:countess", &[(Email, "ada@x.org")]),
        account("git:other", &[(ClaimedEmail, "ada@x.org")]),
    ];
    let found = persons(&accounts, &[]);
    assert_eq!(sets(&found), wanted(&[&["ad:ada", "git:countess", "hr:1", "okta:ada"], &["git:other"]]));
    let ada = found.persons.iter().find(|person| person.accounts.len() == 4).unwrap();
    assert_eq!(ada.name, "Ada Lovelace");
    let by: Vec<(By, &str)> = ada.links.iter().map(|link| (link.by, link.value.as_str())).collect();
    assert_eq!(by, [(By::Immutable, "s-1-5-21-7"), (By::Employee, "42"), (By::Email, "ada@x.org")]);
}

#[test]
fn different_employee_numbers_keep_weaker_keys_from_linking() {
    let accounts = [account("okta:a", &[(Employee, "1"), (Email, "shared@x.org")]), account("entra:b", &[(Employee, "2"), (Email, "shared@x.org")])];
    let found = persons(&accounts, &[]);
    assert_eq!(found.persons.len(), 2);
    assert!(found.notes.iter().any(|note| note.contains("their employee numbers differ")), "{:?}", found.notes);
}

#[test]
fn an_address_of_many_accounts_links_none() {
    let accounts: Vec<Account> = (0..9).map(|n| account(&format!("aws:{n}"), &[(Email, "it@x.org")])).collect();
    let found = persons(&accounts, &[]);
    assert_eq!(found.persons.len(), 9);
    assert!(found.notes[0].contains("email `it@x.org` is that of 9 accounts"), "{:?}", found.notes);
}

#[test]
fn service_and_shared_accounts_are_nobodys() {
    let accounts = [
        account("okta:1", &[(Email, "ada@x.org"), (Login, "ada")]),
        account("ad:1", &[(Email, "ada@x.org"), (Login, "svc-backup")]),
        account("ad:2", &[(Email, "office@x.org")]),
    ];
    let found = persons(&accounts, &[]);
    assert_eq!(sets(&found), wanted(&[&["okta:1"]]));
    assert_eq!(found.others, [(1, Usage::Service), (2, Usage::Shared)]);
}

/// Seven persons whose accounts in `okta` and `entra` share an address, and whose logins in `unix` are made of
/// their names.
fn staff() -> Vec<Account> {
    let names = [("Ada", "Lovelace"), ("Grace", "Hopper"), ("Alan", "Turing"), ("Barbara", "Liskov"), ("Donald", "Knuth"), ("Edsger", "Dijkstra")];
    let mut accounts = Vec::new();
    for (given, family) in names {
        let mail = format!("{given}.{family}@x.org");
        let login = format!("{}{}", given.chars().next().unwrap(), family).to_lowercase();
        accounts.push(account(&format!("okta:{family}"), &[(Email, &mail), (Given, given), (Family, family)]));
        accounts.push(account(&format!("entra:{family}"), &[(Email, &mail), (Name, &format!("{family}, {given}"))]));
        accounts.push(account(&format!("unix:{login}"), &[(Login, &login), (Email, &mail)]));
    }
    accounts
}

#[test]
fn a_custom_of_logins_is_learned_from_what_is_certain() {
    let mut accounts = staff();
    let mail = "john.backus@x.org";
    accounts.push(account("okta:Backus", &[(Email, mail), (Given, "John"), (Family, "Backus")]));
    accounts.push(account("entra:Backus", &[(Email, mail), (Name, "John Backus")]));
    accounts.push(account("unix:jbackus", &[(Login, "jbackus")]));
    accounts.push(account("unix:jbacker", &[(Login, "jbacker")]));
    let found = persons(&accounts, &[]);
    assert!(sets(&found).contains(&vec!["entra:Backus".to_owned(), "okta:Backus".to_owned(), "unix:jbackus".to_owned()]), "{:?}", sets(&found));
    assert!(sets(&found).contains(&vec!["unix:jbacker".to_owned()]));
    assert!(found.customs.iter().any(|custom| (custom.space.as_str(), custom.custom, custom.hits) == ("unix", "flast", 6)), "{:?}", found.customs);
    let link = found.persons.iter().flat_map(|person| &person.links).find(|link| link.by == By::Login).unwrap();
    assert_eq!((link.b.as_str(), link.value.as_str()), ("unix:jbackus", "jbackus, by the custom flast of unix"));
}

#[test]
fn a_login_that_fits_two_persons_links_neither() {
    let mut accounts = staff();
    for given in ["John", "Jane"] {
        let mail = format!("{given}.backus@x.org");
        accounts.push(account(&format!("okta:{given}"), &[(Email, &mail), (Given, given), (Family, "Backus")]));
        accounts.push(account(&format!("entra:{given}"), &[(Email, &mail)]));
    }
    accounts.push(account("unix:jbackus", &[(Login, "jbackus")]));
    assert!(sets(&persons(&accounts, &[])).contains(&vec!["unix:jbackus".to_owned()]));
}

#[test]
fn a_name_links_only_when_it_is_that_of_one_person() {
    let one = [
        account("okta:1", &[(Email, "ada@x.org"), (Name, "Ada Lovelace")]),
        account("entra:1", &[(Email, "ada@x.org")]),
        account("slack:9", &[(Name, "Lovelace, Ada")]),
    ];
    assert_eq!(sets(&persons(&one, &[])), wanted(&[&["entra:1", "okta:1", "slack:9"]]));
    let mut two = one.to_vec();
    two.push(account("okta:2", &[(Employee, "7"), (Name, "Ada Lovelace")]));
    let found = persons(&two, &[]);
    assert!(sets(&found).contains(&vec!["slack:9".to_owned()]), "{:?}", sets(&found));
    assert!(found.notes.iter().any(|note| note.contains("`ada lovelace`")), "{:?}", found.notes);
}

#[test]
fn a_source_may_say_that_accounts_are_one_persons_or_two() {
    let accounts = [account("a:1", &[(Email, "x@x.org")]), account("b:1", &[(Email, "x@x.org")]), account("c:1", &[])];
    let found = resolve(&identities(&accounts), &[("a:1", "b:1", false), ("c:1", "a:1", true)], &[], &words());
    assert_eq!(sets(&found), wanted(&[&["a:1", "c:1"], &["b:1"]]));
}

fn person_of(persons: &Persons, accounts: &[Account], key: &str) -> usize {
    persons.of(accounts.iter().position(|(of, _, _)| of == key).unwrap()).unwrap()
}

#[test]
fn a_split_stays_until_somebody_says_otherwise() {
    let accounts = [account("a:1", &[(Email, "x@x.org")]), account("b:1", &[(Email, "x@x.org")]), account("c:1", &[(Email, "x@x.org")])];
    let before = persons(&accounts, &[]);
    let split = Decision::split_account(&before, "b:1", person_of(&before, &accounts, "b:1"), "ada", Timestamp(1)).unwrap();
    let after = persons(&accounts, std::slice::from_ref(&split));
    assert_eq!(sets(&after), wanted(&[&["a:1", "c:1"], &["b:1"]]));
    let (a, b) = (person_of(&after, &accounts, "a:1"), person_of(&after, &accounts, "b:1"));
    let merge = Decision::merge(&after, a, b, "ada", Timestamp(2)).unwrap();
    assert_eq!(sets(&persons(&accounts, &[split, merge])), sets(&before));
}

#[test]
fn a_merge_goes_on_for_the_accounts_that_stay() {
    let accounts = [account("a:1", &[(Email, "x@x.org")]), account("a:2", &[(Email, "x@x.org")]), account("b:1", &[]), account("b:2", &[(Login, "b")])];
    let before = persons(&accounts, &[]);
    let merge = Decision::merge(&before, person_of(&before, &accounts, "a:1"), person_of(&before, &accounts, "b:1"), "ada", Timestamp(1)).unwrap();
    let merged = persons(&accounts, std::slice::from_ref(&merge));
    assert_eq!(sets(&merged), wanted(&[&["a:1", "a:2", "b:1"], &["b:2"]]));
    // The account that was named first turns out to be somebody else's: the others were merged all the same.
    let split = Decision::split_account(&merged, "a:1", person_of(&merged, &accounts, "a:1"), "ada", Timestamp(2)).unwrap();
    assert_eq!(sets(&persons(&accounts, &[merge.clone(), split])), wanted(&[&["a:1"], &["a:2", "b:1"], &["b:2"]]));
    // Or it is gone.
    assert_eq!(sets(&persons(&accounts[1..], &[merge])), wanted(&[&["a:2", "b:1"], &["b:2"]]));
}

#[test]
fn who_joins_a_person_brings_source_and_mail_domain() {
    let sources =
        [account("z:1", &[(Employee, "7"), (Name, "Ada Lovelace")]), account("a:1", &[(Name, "Ada Lovelace")]), account("z:2", &[(Name, "Ada Lovelace")])];
    assert_eq!(sets(&persons(&sources, &[])), wanted(&[&["a:1", "z:1"], &["z:2"]]), "the person has an account of that source already");
    let boxes = [
        account("z:1", &[(Employee, "7"), (Name, "Ada Lovelace")]),
        account("a:1", &[(Email, "ada@x.org"), (Name, "Ada Lovelace")]),
        account("b:1", &[(Email, "lovelace@x.org"), (Name, "Ada Lovelace")]),
        account("c:1", &[(Email, "ada@y.org"), (Name, "Ada Lovelace")]),
    ];
    assert_eq!(sets(&persons(&boxes, &[])), wanted(&[&["a:1", "c:1", "z:1"], &["b:1"]]), "two addresses of one domain are two persons'");
}

#[test]
fn what_cannot_be_decided_is_told() {
    let accounts = [account("a:1", &[(Email, "x@x.org")]), account("b:1", &[(Email, "x@x.org")]), account("c:1", &[])];
    let found = persons(&accounts, &[]);
    let (both, alone) = (person_of(&found, &accounts, "a:1"), person_of(&found, &accounts, "c:1"));
    let said = |result: Result<Decision, _>| -> String { result.map_err(|error: weft_identity::person::DecisionFault| error.to_string()).unwrap_err() };
    assert!(said(Decision::merge(&found, both, both, "", Timestamp(0))).contains("one person already"));
    assert!(said(Decision::split_account(&found, "c:1", alone, "", Timestamp(0))).contains("nothing to split"));
    assert!(said(Decision::split_person(&found, both, &[], "", Timestamp(0))).contains("name the account that is somebody else's: a:1, b:1"));
}

/// Accounts that share few values, so that links and conflicts abound.
fn any_accounts() -> impl Strategy<Value = Vec<Account>> {
    let id = prop_oneof![
        (0..3_u8).prop_map(|n| (Immutable, format!("id{n}"))),
        (0..6_u8).prop_map(|n| (Employee, format!("{n}"))),
        (0..8_u8).prop_map(|n| (Email, format!("m{n}@x.org"))),
        (0..6_u8).prop_map(|n| (Name, format!("Given{n} Family{n}"))),
        (0..6_u8).prop_map(|n| (Login, format!("given{n}.family{n}"))),
    ];
    prop::collection::vec((0..4_u8, prop::collection::vec(id, 0..3)), 1..40).prop_map(|accounts| {
        let of = |(n, (source, ids)): (usize, (u8, Vec<(IdKind, String)>))| (format!("s{source}:{n:02}"), format!("s{source}"), ids);
        accounts.into_iter().enumerate().map(of).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_accounts_does_not_matter((accounts, shuffled) in any_accounts().prop_flat_map(|accounts| (Just(accounts.clone()), Just(accounts).prop_shuffle()))) {
        let (one, other) = (persons(&accounts, &[]), persons(&shuffled, &[]));
        prop_assert_eq!(sets(&one), sets(&other));
        let told = |persons: &Persons| persons.persons.iter().map(|person| (person.id.clone(), person.name.clone(), person.links.clone())).collect::<Vec<_>>();
        prop_assert_eq!(told(&one), told(&other));
        prop_assert_eq!(&one.notes, &other.notes);
        let ids: BTreeSet<_> = one.persons.iter().map(|person| &person.id).collect();
        prop_assert_eq!(ids.len(), one.persons.len());
    }

    #[test]
    fn a_split_after_a_merge_restores(accounts in any_accounts(), a in 0_usize..40, b in 0_usize..40) {
        let before = persons(&accounts, &[]);
        let (a, b) = (a % before.persons.len(), b % before.persons.len());
        prop_assume!(a != b);
        let merge = Decision::merge(&before, a, b, "ada", Timestamp(1)).unwrap();
        let merged = persons(&accounts, std::slice::from_ref(&merge));
        let one = person_of(&merged, &accounts, &merge.left[0]);
        prop_assert_eq!(one, person_of(&merged, &accounts, &merge.right[0]));
        let split = Decision::split_person(&merged, one, std::slice::from_ref(&merge), "ada", Timestamp(2)).unwrap();
        let after = persons(&accounts, &[merge, split]);
        prop_assert_eq!(sets(&after), sets(&before));
    }

    #[test]
    fn what_must_not_be_linked_never_is(accounts in any_accounts(), pairs in prop::collection::vec((0_usize..40, 0_usize..40), 1..6), merges in prop::collection::vec((0_usize..40, 0_usize..40), 0..4)) {
        let key = |n: usize| accounts[n % accounts.len()].0.clone();
        let side = |word, (a, b): (usize, usize)| Decision { word, left: vec![key(a)], right: vec![key(b)], by: "ada".into(), at: Timestamp(0) };
        let differ = |(a, b): &(usize, usize)| key(*a) != key(*b);
        let mut decisions: Vec<Decision> = merges.into_iter().filter(differ).map(|pair| side(weft_identity::person::Word::Same, pair)).collect();
        let apart: Vec<_> = pairs.into_iter().filter(differ).collect();
        decisions.extend(apart.iter().map(|pair| side(weft_identity::person::Word::Apart, *pair)));
        let found = persons(&accounts, &decisions);
        for (a, b) in apart {
            prop_assert_ne!(person_of(&found, &accounts, &key(a)), person_of(&found, &accounts, &key(b)));
        }
    }
}
