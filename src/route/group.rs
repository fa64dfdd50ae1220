//! Groups, and the choice among their channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rand::Rng;

use super::channel::{Channel, Claim};
use crate::config;
use crate::dialect::Operation;

/// One turn of a channel of weight 1; one of weight 3 takes a third of it.
const STRIDE: u64 = 1 << 20;

pub struct Group {
    pub name: Arc<str>,
    members: Vec<Member>,
    aliases: Vec<(String, String)>,
    max_attempts: u32,
    /// The turn that was taken last: a channel that was away takes up from here, and not the turns
    /// that it missed.
    floor: AtomicU64,
    uses: AtomicU64,
}

struct Member {
    channel: Arc<Channel>,
    priority: i64,
    weight: u32,
    /// Its next turn: the lowest goes first.
    turn: AtomicU64,
    /// The group's count when it was last used: among equal turns the least recently used goes first.
    used: AtomicU64,
}

/// The attempts of one request: which channels it has been to.
#[derive(Debug, Default)]
pub struct Plan {
    tried: Vec<u32>,
    /// Of those, the ones that were never asked.
    skipped: u32,
    /// The only one that can answer.
    pinned: Option<u32>,
}

/// What the choice came to.
pub enum Pick {
    Channel(Claim),
    /// No channel of the group serves the operation in its dialect.
    NoOperation,
    /// None that does serves the model.
    NoModel,
    /// Those that serve it are away; one may be back after this time.
    Away(Duration),
    /// All that serve it have been tried, or as many as may be.
    Exhausted,
}

impl Plan {
    pub fn attempts(&self) -> u32 {
        self.tried.len() as u32 - self.skipped
    }

    /// Only the channel with this id can answer.
    pub fn pin(&mut self, channel: u32) {
        self.pinned = Some(channel);
    }

    pub fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    fn may_use(&self, channel: u32) -> bool {
        self.pinned.is_none_or(|pinned| pinned == channel)
    }

    /// The channel that was chosen last cannot express the request: it is not asked.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }
}

impl Group {
    pub fn new(config: &config::Group, channels: &[Arc<Channel>]) -> Self {
        Self {
            name: config.name.as_str().into(),
            members: config
                .channels
                .iter()
                .map(|member| Member {
                    channel: channels[member.channel].clone(),
                    priority: member.priority,
                    weight: member.weight,
                    turn: AtomicU64::new(0),
                    used: AtomicU64::new(0),
                })
                .collect(),
            aliases: config.aliases.clone(),
            max_attempts: config.max_attempts,
            floor: AtomicU64::new(0),
            uses: AtomicU64::new(0),
        }
    }

    pub fn channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.members.iter().map(|member| &member.channel)
    }

    /// The model that an alias of this group stands for.
    pub fn alias(&self, model: &str) -> Option<&str> {
        self.aliases
            .iter()
            .find(|(name, _)| name == model)
            .map(|(_, target)| target.as_str())
    }

    pub fn alias_names(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(|(name, _)| name.as_str())
    }

    /// Would another attempt have a channel to go to?
    pub fn has_next(
        &self,
        plan: &Plan,
        operation: Operation,
        model: Option<&str>,
        now: Instant,
    ) -> bool {
        plan.attempts() < self.max_attempts
            && self
                .members
                .iter()
                .any(|m| m.serves(operation, model) && m.is_free(plan, now))
    }

    /// Chooses the next channel: the lowest priority value, then the least recently used by weight,
    /// then by weight at random. Marks it as tried.
    pub fn pick(
        &self,
        plan: &mut Plan,
        operation: Operation,
        model: Option<&str>,
        now: Instant,
    ) -> Pick {
        if plan.attempts() >= self.max_attempts {
            return Pick::Exhausted;
        }
        // A channel may fill up between the look and the claim: then the next one is looked for.
        for _ in 0..=self.members.len() {
            let Some(member) = self.best(plan, operation, model, now) else {
                break;
            };
            if let Some(claim) = Claim::take(&member.channel) {
                plan.tried.push(member.channel.id);
                self.take_turn(member);
                return Pick::Channel(claim);
            }
        }
        self.why_none(plan, operation, model, now)
    }

    fn best(
        &self,
        plan: &Plan,
        operation: Operation,
        model: Option<&str>,
        now: Instant,
    ) -> Option<&Member> {
        let mut best: Option<&Member> = None;
        let mut equals_weight = 0_u64;
        for member in &self.members {
            if !member.serves(operation, model) || !member.is_free(plan, now) {
                continue;
            }
            let weight = u64::from(member.weight);
            let order = match best {
                None => std::cmp::Ordering::Less,
                Some(best) => member.rank().cmp(&best.rank()),
            };
            match order {
                std::cmp::Ordering::Less => {
                    best = Some(member);
                    equals_weight = weight;
                }
                std::cmp::Ordering::Equal => {
                    // Each of the equals wins with the share of its weight.
                    equals_weight += weight;
                    if rand::rng().random_range(0..equals_weight) < weight {
                        best = Some(member);
                    }
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        best
    }

    fn take_turn(&self, member: &Member) {
        let floor = self.floor.load(Relaxed);
        let turn = member.turn.load(Relaxed).max(floor);
        self.floor.fetch_max(turn, Relaxed);
        let next = turn + STRIDE / u64::from(member.weight).max(1);
        member.turn.store(next.max(turn + 1), Relaxed);
        let use_number = self.uses.fetch_add(1, Relaxed) + 1;
        member.used.store(use_number, Relaxed);
    }

    fn why_none(
        &self,
        plan: &Plan,
        operation: Operation,
        model: Option<&str>,
        now: Instant,
    ) -> Pick {
        if !plan.tried.is_empty() {
            return Pick::Exhausted;
        }
        if !self
            .members
            .iter()
            .any(|m| m.channel.serves_operation(operation))
        {
            return Pick::NoOperation;
        }
        self.members
            .iter()
            .filter(|m| m.serves(operation, model) && plan.may_use(m.channel.id))
            .map(|m| m.channel.ready_in(now))
            .min()
            .map_or(Pick::NoModel, |wait| {
                Pick::Away(wait.max(Duration::from_secs(1)))
            })
    }
}

impl Member {
    fn rank(&self) -> (i64, u64, u64) {
        (
            self.priority,
            self.turn.load(Relaxed),
            self.used.load(Relaxed),
        )
    }

    fn serves(&self, operation: Operation, model: Option<&str>) -> bool {
        self.channel.serves_operation(operation)
            && model.is_none_or(|model| self.channel.route(model).is_some())
    }

    fn is_free(&self, plan: &Plan, now: Instant) -> bool {
        plan.may_use(self.channel.id)
            && !plan.tried.contains(&self.channel.id)
            && self.channel.is_ready(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Outcome;
    use std::net::SocketAddr;

    fn group(members: &[(i64, u32)]) -> Group {
        let mut text = String::new();
        for (i, (priority, weight)) in members.iter().enumerate() {
            text += &format!(
                "[[channels]]\nname = \"c{i}\"\nplatform = \"openai\"\npriority = {priority}\nweight = {weight}\nmodels = [\"m\"]\n"
            );
        }
        let names: Vec<String> = (0..members.len()).map(|i| format!("\"c{i}\"")).collect();
        text += &format!(
            "[[groups]]\nname = \"g\"\nchannels = [{}]\n",
            names.join(",")
        );
        let (config, report) = config::parse("t.toml", &text);
        let config = config.unwrap_or_else(|| panic!("{}", report.mistakes()));
        let channels: Vec<_> = config
            .channels
            .iter()
            .enumerate()
            .map(|(id, c)| {
                let channel = Channel::new(id as u32, c.clone());
                channel.set_addresses(vec![SocketAddr::from(([127, 0, 0, 1], 9))]);
                Arc::new(channel)
            })
            .collect();
        Group::new(&config.groups[0], &channels)
    }

    fn pick(group: &Group, plan: &mut Plan) -> Option<u32> {
        match group.pick(plan, Operation::Chat, Some("m"), Instant::now()) {
            Pick::Channel(claim) => Some(claim.channel().id),
            _ => None,
        }
    }

    #[test]
    fn the_lowest_priority_wins_and_the_others_stay_as_fallbacks() {
        let group = group(&[(10, 1), (5, 1), (7, 1)]);
        for _ in 0..5 {
            let mut plan = Plan::default();
            assert_eq!(pick(&group, &mut plan), Some(1));
            assert_eq!(pick(&group, &mut plan), Some(2));
            assert_eq!(pick(&group, &mut plan), Some(0));
            assert_eq!(pick(&group, &mut plan), None);
        }
    }

    #[test]
    fn equals_take_turns_and_weights_take_shares() {
        let even = group(&[(0, 1), (0, 1)]);
        let picks: Vec<_> = (0..6).map(|_| pick(&even, &mut Plan::default())).collect();
        assert!(picks.windows(2).all(|w| w[0] != w[1]), "{picks:?}");
        let uneven = group(&[(0, 3), (0, 1)]);
        let first = (0..400)
            .filter(|_| pick(&uneven, &mut Plan::default()) == Some(0))
            .count();
        assert!((299..=301).contains(&first), "{first}");
    }

    #[test]
    fn a_channel_that_comes_back_does_not_take_the_turns_it_missed() {
        let group = group(&[(0, 1), (0, 1)]);
        let now = Instant::now();
        group.members[0].channel.report(
            Outcome::RateLimited,
            Some(Duration::from_millis(20)),
            now,
            now,
        );
        for _ in 0..50 {
            assert_eq!(pick(&group, &mut Plan::default()), Some(1));
        }
        let later = now + Duration::from_secs(1);
        let mut firsts = 0;
        for _ in 0..10 {
            if let Pick::Channel(claim) =
                group.pick(&mut Plan::default(), Operation::Chat, Some("m"), later)
            {
                firsts += u32::from(claim.channel().id == 0);
            }
        }
        assert!((4..=6).contains(&firsts), "{firsts}");
    }

    #[test]
    fn the_reason_for_no_channel_is_told() {
        let group = group(&[(0, 1)]);
        let now = Instant::now();
        let why = |operation, model| group.pick(&mut Plan::default(), operation, Some(model), now);
        assert!(matches!(why(Operation::ModelsList, "m"), Pick::NoOperation));
        assert!(matches!(why(Operation::Chat, "x"), Pick::NoModel));
        group.members[0].channel.report(
            Outcome::RateLimited,
            Some(Duration::from_secs(9)),
            now,
            now,
        );
        assert!(matches!(why(Operation::Chat, "m"), Pick::Away(wait) if wait.as_secs() >= 8));
    }
}
