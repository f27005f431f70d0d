//! Plays the story: ordinary days without end, and the attack again and again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::instant::hour;
use super::random::Random;
use super::story::{Block, Cue, Story, Way};
use super::template::{Memory, Scene};

/// How a story is played.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The same seed and start give the same play.
    pub seed: u64,
    /// Time of the first record, epoch milliseconds; earlier than now gives a past to look back on.
    pub start_ms: i64,
    /// The first attack, so long after the start.
    pub attack_first_ms: u64,
    /// From the start of one attack to the start of the next.
    pub attack_every_ms: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, start_ms: 0, attack_first_ms: 60_000, attack_every_ms: 600_000 }
    }
}

/// A raw record that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, from the start of the play.
    pub at_ms: u64,
    /// By which way in.
    pub way: Way,
    /// As what it is mapped.
    pub stream: String,
    /// Who sends it; for [`Way::File`] the path below the folder that is watched.
    pub source: String,
    /// The record, without a line end.
    pub record: Vec<u8>,
}

/// An endless iterator of [`Step`]s in order of time.
#[derive(Debug)]
pub struct Player {
    story: Story,
    plan: Plan,
    due: BinaryHeap<Reverse<Due>>,
    ready: VecDeque<Step>,
    attack: Attack,
}

/// One telling of a block. Ordered by time, then by place in the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ms: u64,
    place: Place,
    telling: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The attack begins.
    Curtain,
    Block(usize),
}

/// The run of the attack that is being played; its named values last as long.
#[derive(Debug, Default)]
struct Attack {
    run: u64,
    memory: Memory,
}

impl Player {
    /// At the start.
    pub fn new(story: Story, plan: Plan) -> Self {
        let plan = Plan { attack_every_ms: plan.attack_every_ms.max(1_000), ..plan };
        let mut player = Self { story, plan, due: BinaryHeap::new(), ready: VecDeque::new(), attack: Attack::default() };
        for place in 0..player.story.blocks.len() {
            player.schedule(place, 0, 0);
        }
        player.due.push(Reverse(Due { at_ms: plan.attack_first_ms, place: Place::Curtain, telling: 0 }));
        player
    }

    /// The next telling of a habit. Gaps are between a half and one and a half of the mean: alive, and
    /// never silent for long.
    fn schedule(&mut self, place: usize, from_ms: u64, telling: u64) {
        let Some(Block { cue: Cue::Every { mean_ms, hours }, .. }) = self.story.blocks.get(place) else { return };
        let slower = hours.slower(hour(self.wall_ms(from_ms)));
        let mut random = Random::of(self.plan.seed, place as u64, telling.wrapping_mul(2));
        let mean = mean_ms.saturating_mul(slower);
        let gap = if telling == 0 { random.below(*mean_ms) } else { random.between(mean / 2, mean.saturating_add(mean / 2)) };
        self.due.push(Reverse(Due { at_ms: from_ms.saturating_add(gap.max(1)), place: Place::Block(place), telling }));
    }

    fn raise_curtain(&mut self, due: Due) {
        self.attack = Attack { run: due.telling, memory: Memory::default() };
        for (place, block) in self.story.blocks.iter().enumerate() {
            let Cue::At { offset_ms, times, gap_ms } = block.cue else { continue };
            for repeat in 0..times {
                let at_ms = due.at_ms.saturating_add(offset_ms).saturating_add(gap_ms.saturating_mul(repeat));
                self.due.push(Reverse(Due { at_ms, place: Place::Block(place), telling: repeat }));
            }
        }
        self.due.push(Reverse(Due { at_ms: due.at_ms.saturating_add(self.plan.attack_every_ms), place: Place::Curtain, telling: due.telling.wrapping_add(1) }));
    }

    fn tell(&mut self, place: usize, due: Due) {
        let Some(block) = self.story.blocks.get(place) else { return };
        let habit = matches!(block.cue, Cue::Every { .. });
        let telling = if habit { due.telling.wrapping_mul(2).wrapping_add(1) } else { self.attack.run.wrapping_mul(1009).wrapping_add(due.telling) };
        let mut random = Random::of(self.plan.seed, place as u64, telling);
        let mut fresh = Memory::default();
        let memory = if habit { &mut fresh } else { &mut self.attack.memory };
        let scene = Scene { at_ms: self.plan.start_ms.saturating_add_unsigned(due.at_ms), repeat: due.telling, tables: &self.story.tables };
        for record in &block.records {
            self.ready.push_back(Step {
                at_ms: due.at_ms,
                way: block.way,
                stream: block.stream.clone(),
                source: block.source.clone(),
                record: record.write(&scene, memory, &mut random).into_bytes(),
            });
        }
        if habit {
            self.schedule(place, due.at_ms, due.telling.wrapping_add(1));
        }
    }

    const fn wall_ms(&self, at_ms: u64) -> i64 {
        self.plan.start_ms.saturating_add_unsigned(at_ms)
    }
}

impl Iterator for Player {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            let Reverse(due) = self.due.pop()?;
            match due.place {
                Place::Curtain => self.raise_curtain(due),
                Place::Block(place) => self.tell(place, due),
            }
        }
    }
}
