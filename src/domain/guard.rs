//! The guard: when a loss of access is so large that a person has to approve it.
//!
//! Identity providers make mistakes of their own, such as an emptied group or an attribute that a new mapping blanks, and
//! push them as faithfully as everything else. What is judged is therefore the effect: how many people of one connection
//! lose something of one kind within a window of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A share trips only when this many people lose something: in a small team one person is a large share.
pub const FEWEST_FOR_SHARE: u64 = 5;

/// A limit of so many people is none.
pub const HOWEVER_MANY: u32 = 1_000_000;

/// Parts of a whole, in which shares are counted.
const WHOLE: u64 = 1_000_000;

/// What is lost. Each kind is counted and held by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// Access altogether: the role, or the worker.
    Access,
    /// The role, for another one, be it lesser or greater.
    Role,
    /// A team, a skill, a channel, or acting as agent, while the role stays.
    Grants,
}

/// The text names no kind of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of loss: use access, role or grants")]
pub struct LossKindError;

impl LossKind {
    /// All kinds, the gravest first.
    pub const ALL: [Self; 3] = [Self::Access, Self::Role, Self::Grants];

    /// The name in the database and in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Role => "role",
            Self::Grants => "grants",
        }
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LossKind {
    type Err = LossKindError;

    fn from_str(text: &str) -> Result<Self, LossKindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(LossKindError)
    }
}

/// A share of people from 0 to 1, exact to a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// No share at all.
    pub const NONE: Self = Self(0);

    /// From a number; what lies outside 0 to 1 becomes the nearer end, and what is no number 0.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1,000,000 before")]
    pub fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * 1e6).round() as u32)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.0) / 1e6
    }
}

/// What may be lost without anybody's approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// More people than this in the window are held; 0, or [`HOWEVER_MANY`] and more: however many.
    pub max_people: u32,
    /// More than this share of the people with access, if they are [`FEWEST_FOR_SHARE`] or more, is held; none, or all: any share.
    pub max_share: Share,
    /// The window.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_people: 25, max_share: Share::new(0.1), window: Duration::from_mins(10) }
    }
}

/// Which limit a loss is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The number of people.
    People,
    /// The share of those who have access.
    Share,
}

impl Beyond {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::People => "max_people",
            Self::Share => "max_share",
        }
    }
}

impl Limits {
    /// Whether nothing is ever held.
    #[must_use]
    pub const fn are_off(&self) -> bool {
        !self.limits_people() && !self.limits_share()
    }

    const fn limits_people(&self) -> bool {
        self.max_people > 0 && self.max_people < HOWEVER_MANY
    }

    /// Nobody can lose more than all.
    const fn limits_share(&self) -> bool {
        self.max_share.0 > 0 && (self.max_share.0 as u64) < WHOLE
    }

    /// How many losses of the window need to be counted at most: what is more is beyond the limit in any case.
    #[must_use]
    pub fn losses_to_count(&self) -> u64 {
        if self.limits_people() { u64::from(self.max_people) + 1 } else { u64::from(u32::MAX) }
    }

    /// How many people with access are so many that `lost` of them are within the share; none: the share does not matter.
    #[must_use]
    pub fn enough_people(&self, lost: u64) -> Option<u64> {
        let beyond_people = self.limits_people() && lost > u64::from(self.max_people);
        if !self.limits_share() || lost < FEWEST_FOR_SHARE || beyond_people {
            return None;
        }
        Some(lost.saturating_mul(WHOLE).div_ceil(u64::from(self.max_share.0)))
    }

    /// Whether `lost` people in the window are too many, of `people` who had access when it began. Of `people` no more need
    /// to be counted than [`Limits::enough_people`].
    #[must_use]
    pub fn judge(&self, lost: u64, people: u64) -> Option<Beyond> {
        if self.limits_people() && lost > u64::from(self.max_people) {
            return Some(Beyond::People);
        }
        self.enough_people(lost).filter(|enough| people < *enough).map(|_| Beyond::Share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(max_people: u32, max_share: f64) -> Limits {
        Limits { max_people, max_share: Share::new(max_share), window: Duration::from_mins(10) }
    }

    #[test]
    fn more_than_so_many_people_are_held() {
        let limits = limits(25, 0.1);
        assert_eq!(limits.judge(25, 10_000), None);
        assert_eq!(limits.judge(26, 10_000), Some(Beyond::People));
        assert_eq!(limits.enough_people(26), None, "nobody needs to be counted for that");
    }

    #[test]
    fn a_share_needs_five_people() {
        let limits = limits(25, 0.1);
        assert_eq!(limits.judge(1, 1), None);
        assert_eq!(limits.judge(4, 4), None);
        assert_eq!(limits.judge(5, 49), Some(Beyond::Share));
        assert_eq!(limits.judge(5, 50), None, "a tenth is not more than a tenth");
        assert_eq!(limits.judge(6, 59), Some(Beyond::Share));
        assert_eq!(limits.judge(6, 60), None);
    }

    #[test]
    fn each_limit_can_be_off() {
        assert_eq!(limits(0, 0.1).judge(1_000, 10_000), None);
        assert_eq!(limits(0, 0.1).judge(1_001, 10_000), Some(Beyond::Share));
        assert_eq!(limits(25, 0.0).judge(25, 25), None);
        assert_eq!(limits(25, 1.0).judge(25, 25), None, "everybody is not more than everybody");
        let off = limits(0, 0.0);
        assert!(off.are_off());
        assert_eq!(off.judge(100_000, 100_000), None);
        for off in [limits(HOWEVER_MANY, 1.0), limits(u32::MAX, 0.0), limits(0, 1.0)] {
            assert!(off.are_off());
            assert_eq!(off.judge(2_000_000, 1), None);
            assert_eq!(off.enough_people(5), None, "nobody needs to be counted");
        }
        assert!(!limits(HOWEVER_MANY - 1, 1.0).are_off());
        assert!(!limits(0, 0.999_999).are_off());
    }

    #[test]
    fn a_share_is_exact_to_a_millionth() {
        assert_eq!(Share::new(0.1), Share(100_000));
        assert_eq!((Share::new(7.0), Share::new(-1.0), Share::new(f64::NAN)), (Share(1_000_000), Share(0), Share(0)));
        assert!((f64::from(Share::new(0.25)) - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn kinds_have_names() {
        for kind in LossKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("workers".parse::<LossKind>(), Err(LossKindError));
    }

    proptest! {
        /// More losses, or fewer people, never turn a hold into none.
        #[test]
        fn judgement_is_monotonous(max in 0_u32..50, share in 0.0..=1.0_f64, lost in 0_u64..200, people in 0_u64..2_000) {
            let limits = limits(max, share);
            if limits.judge(lost, people).is_some() {
                prop_assert!(limits.judge(lost + 1, people).is_some());
                prop_assert!(limits.judge(lost, people.saturating_sub(1)).is_some());
            }
        }

        /// Counting no further than is needed judges as counting all.
        #[test]
        fn counting_enough_is_enough(max in 0_u32..50, share in 0.0..=1.0_f64, lost in 0_u64..200, people in 0_u64..2_000) {
            let limits = limits(max, share);
            let counted_losses = lost.min(limits.losses_to_count());
            let counted_people = limits.enough_people(lost).map_or(0, |enough| people.min(enough));
            let few = limits.judge(counted_losses, counted_people);
            prop_assert_eq!(few.is_some(), limits.judge(lost, people).is_some());
        }

        /// Single leavers are never delayed: what four people lose within a window is not held unless the number is set below.
        #[test]
        fn few_pass(max in 4_u32..50, share in 0.0..=1.0_f64, lost in 0_u64..5, people in 0_u64..2_000) {
            prop_assert_eq!(limits(max, share).judge(lost, people), None);
        }

        /// The share is what it says, in whole numbers.
        #[test]
        fn the_share_is_counted_exactly(millionths in 1_u32..1_000_000, lost in 5_u64..10_000, people in 0_u64..100_000) {
            let limits = Limits { max_people: 0, max_share: Share(millionths), window: Duration::from_mins(10) };
            let beyond = lost * 1_000_000 > u64::from(millionths) * people;
            prop_assert_eq!(limits.judge(lost, people).is_some(), beyond);
        }
    }
}
