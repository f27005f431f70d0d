//! The demonstration: a fictitious company told in `scenarios/demo`, played as raw records of its tools.
//!
//! Pure: knows the start of the play and a seed, not the clock; gives what is to be sent, when, and by
//! which way in, and sends nothing. What the records mean is not known here either: they enter the mesh
//! like those of any tool.

mod instant;
mod player;
mod random;
mod story;
mod template;

pub use player::{Plan, Player, Step};
pub use story::{Story, StoryFault, Way};

/// The files of the story with their names: Markdown that is read as the guide to the demonstration, too.
const FILES: [(&str, &str); 6] = [
    ("company.md", include_str!("../../../scenarios/demo/company.md")),
    ("identity.md", include_str!("../../../scenarios/demo/identity.md")),
    ("cloud.md", include_str!("../../../scenarios/demo/cloud.md")),
    ("endpoint.md", include_str!("../../../scenarios/demo/endpoint.md")),
    ("network.md", include_str!("../../../scenarios/demo/network.md")),
    ("attack.md", include_str!("../../../scenarios/demo/attack.md")),
];

/// The story that is embedded in the program.
///
/// # Errors
/// Every fault with file and line; there is none in a program that passed its tests.
pub fn story() -> Result<Story, Vec<StoryFault>> {
    Story::parse(&FILES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const START_MS: i64 = 1_763_924_400_000;

    fn play(seed: u64, steps: usize) -> Vec<Step> {
        Player::new(story().unwrap(), Plan { seed, start_ms: START_MS, ..Plan::default() }).take(steps).collect()
    }

    #[test]
    fn the_story_is_without_fault() {
        let faults = story().err().unwrap_or_default();
        assert!(faults.is_empty(), "{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn the_same_seed_gives_the_same_play() {
        assert_eq!(play(7, 3_000), play(7, 3_000));
        assert_ne!(play(7, 50), play(8, 50));
    }

    #[test]
    fn time_never_runs_backwards() {
        let steps = play(1, 20_000);
        assert!(steps.is_sorted_by_key(|step| step.at_ms));
    }

    #[test]
    fn every_tool_speaks_before_the_first_attack_is_over() {
        let streams: BTreeSet<String> = play(1, 20_000).into_iter().take_while(|step| step.at_ms < 300_000).map(|step| step.stream).collect();
        let expected = [
            "aws/cloudtrail",
            "aws/guardduty",
            "aws/vpcflow",
            "cef/event",
            "entra/signin",
            "github/audit",
            "linux/auditd",
            "linux/auth",
            "okta/system_log",
            "windows/event",
            "zeek/log",
        ];
        assert_eq!(streams.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_way_in_is_used() {
        let ways: BTreeSet<Way> = play(1, 5_000).into_iter().map(|step| step.way).collect();
        assert_eq!(ways.len(), Way::ALL.len(), "{ways:?}");
    }

    #[test]
    fn no_placeholder_is_left_and_json_stays_json() {
        for step in play(3, 10_000) {
            let text = String::from_utf8(step.record).unwrap();
            assert!(!text.contains("{{"), "{text}");
            assert!(!text.contains('\n'), "{text}");
            if text.starts_with('{') {
                serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            }
        }
    }

    #[test]
    fn the_attack_comes_once_a_period() {
        let plan = Plan { start_ms: START_MS, ..Plan::default() };
        let resets: Vec<u64> = Player::new(story().unwrap(), plan)
            .take_while(|step| step.at_ms < plan.attack_first_ms + 2 * plan.attack_every_ms + 120_000)
            .filter(|step| String::from_utf8_lossy(&step.record).contains("user.mfa.factor.reset_all"))
            .map(|step| step.at_ms)
            .collect();
        assert_eq!(resets.len(), 3, "{resets:?}");
        assert!(resets[0] >= plan.attack_first_ms);
        assert_eq!(resets[1] - resets[0], plan.attack_every_ms);
    }

    #[test]
    fn the_brute_force_succeeds_within_ten_minutes() {
        let attacker = "203.0.113.66";
        let lines: Vec<String> = play(1, 30_000)
            .into_iter()
            .take_while(|step| step.at_ms < 600_000)
            .filter(|step| step.stream == "linux/auth")
            .map(|step| String::from_utf8(step.record).unwrap())
            .filter(|line| line.contains(attacker))
            .collect();
        let failed = lines.iter().filter(|line| line.contains("Failed password")).count();
        let success = lines.iter().position(|line| line.contains("Accepted password")).unwrap();
        assert!(failed >= 5, "{failed}");
        assert!(lines[..success].iter().filter(|line| line.contains("Failed password")).count() >= 5);
    }
}
