//! The state of a session or subject: a fold over its notices. The fold does not depend on their order or repetition, so
//! replays, late delivery, several instances and a reload all reach the same state.
//!
//! Pure: the time is an argument.

use crate::session::notice::{Notice, NoticeEffect};
use crate::token::identity::{IdentityKey, TokenIdentity};
use std::num::NonZeroU64;
use stepup_contract::RiskLevel;

/// A time of an event, in seconds since the epoch. An event at the epoch itself counts as one second later.
type EventTime = NonZeroU64;

fn event_time(seconds: u64) -> EventTime {
    NonZeroU64::new(seconds).unwrap_or(NonZeroU64::MIN)
}

/// What all notices about one session or subject amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SessionState {
    /// Authentications up to this time are revoked.
    revoked: Option<EventTime>,
    /// Authentications up to this later time are revoked, except in one session.
    revoked_except: Option<(EventTime, IdentityKey)>,
    /// Authentications up to this time do not count for a step-up.
    reauthenticate: Option<EventTime>,
    risk: Option<RiskReport>,
    locked_until: Option<EventTime>,
    account: Option<AccountChange>,
}

/// The latest report of a risk. At equal times, the order of the fields makes the stricter report the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RiskReport {
    at: EventTime,
    level: RiskLevel,
    until: u64,
}

/// The latest change of an account. At equal times, disabled is later than enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AccountChange {
    at: EventTime,
    disabled: bool,
}

impl SessionState {
    /// The state after one notice.
    pub(crate) fn of(notice: &Notice) -> Self {
        let mut state = Self::default();
        let at = event_time(notice.at);
        match &notice.effect {
            NoticeEffect::Revoked { except: None } => state.revoked = Some(at),
            NoticeEffect::Revoked { except: Some(sid) } => {
                let session = IdentityKey::session(notice.target.issuer(), sid, None);
                state.revoked_except = Some((at, session));
            }
            NoticeEffect::Reauthenticate => state.reauthenticate = Some(at),
            NoticeEffect::Risk { level, until } => {
                let until = until.unwrap_or(u64::MAX);
                state.risk = Some(RiskReport { at, level: *level, until });
            }
            NoticeEffect::Locked { until } => state.locked_until = Some(event_time(*until)),
            NoticeEffect::Disabled => state.account = Some(AccountChange { at, disabled: true }),
            NoticeEffect::Enabled => state.account = Some(AccountChange { at, disabled: false }),
        }
        state
    }

    /// The state after the notices of both. For each effect the later event counts, and at equal times the stricter.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        let (revoked, revoked_except) = self.joined_revocations(other);
        Self {
            revoked,
            revoked_except,
            reauthenticate: self.reauthenticate.max(other.reauthenticate),
            risk: self.risk.max(other.risk),
            locked_until: self.locked_until.max(other.locked_until),
            account: self.account.max(other.account),
        }
    }

    /// One exception is enough: of two revocations with different exceptions, the later one also revokes the session that
    /// the earlier one excepts, and the earlier one has revoked everything else up to its time.
    fn joined_revocations(
        self,
        other: Self,
    ) -> (Option<EventTime>, Option<(EventTime, IdentityKey)>) {
        let mut all = self.revoked.max(other.revoked);
        let mut except = match (self.revoked_except, other.revoked_except) {
            (Some((one, session)), Some((two, excepted))) if session != excepted => {
                all = all.max(Some(one.min(two)));
                // At equal times, each revokes the session that the other excepts.
                if one > two { Some((one, session)) } else { Some((two, excepted)) }
            }
            (Some((one, session)), Some((two, _))) => Some((one.max(two), session)),
            (one, two) => one.or(two),
        };
        except = except.filter(|(at, _)| all.is_none_or(|all| all < *at));
        (all, except)
    }

    /// What the notices about a session mean for its tokens.
    pub(crate) fn of_session(&self, now: u64) -> SessionStatus {
        SessionStatus { revoked: self.revoked.is_some(), ..self.common(now) }
    }

    /// What the notices about a subject mean for a token of this identity.
    pub(crate) fn of_subject(&self, identity: &TokenIdentity, now: u64) -> SessionStatus {
        let covers = |at: EventTime| identity.authenticated_at <= at.get();
        let all = self.revoked.is_some_and(covers);
        let others = self
            .revoked_except
            .is_some_and(|(at, session)| covers(at) && identity.session != Some(session));
        SessionStatus { revoked: all || others, ..self.common(now) }
    }

    fn common(&self, now: u64) -> SessionStatus {
        let risk = self.risk.filter(|risk| now < risk.until);
        SessionStatus {
            revoked: false,
            disabled: self.account.is_some_and(|change| change.disabled),
            locked_until: self.locked_until.map(EventTime::get).filter(|until| now < *until),
            reauthenticate_after: self.reauthenticate.map(EventTime::get),
            risk: risk.map_or(RiskLevel::Low, |risk| risk.level),
        }
    }

    /// Whether the state can be forgotten: no token that it could affect is accepted any more. `retention` is in
    /// seconds, like `now`.
    pub(crate) fn is_over(&self, now: u64, retention: u64) -> bool {
        let past = |at: EventTime| at.get().saturating_add(retention) < now;
        self.revoked.is_none_or(past)
            && self.revoked_except.is_none_or(|(at, _)| past(at))
            && self.reauthenticate.is_none_or(past)
            && self.risk.is_none_or(|risk| past(risk.at))
            && self.locked_until.is_none_or(|until| until.get() <= now)
            && self.account.is_none_or(|change| !change.disabled && past(change.at))
    }
}

/// What the notices mean for one token at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionStatus {
    pub(crate) revoked: bool,
    pub(crate) disabled: bool,
    /// The end of the lock, in seconds since the epoch.
    pub(crate) locked_until: Option<u64>,
    /// Authentications up to this time do not count for a step-up.
    pub(crate) reauthenticate_after: Option<u64>,
    pub(crate) risk: RiskLevel,
}

impl SessionStatus {
    /// Without any notice.
    pub(crate) const CLEAR: Self = Self {
        revoked: false,
        disabled: false,
        locked_until: None,
        reauthenticate_after: None,
        risk: RiskLevel::Low,
    };

    /// The stricter of both in every respect.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            revoked: self.revoked || other.revoked,
            disabled: self.disabled || other.disabled,
            locked_until: self.locked_until.max(other.locked_until),
            reauthenticate_after: self.reauthenticate_after.max(other.reauthenticate_after),
            risk: self.risk.max(other.risk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::notice::{NoticeSource, NoticeTarget};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    const NOW: u64 = 50;
    const ISSUER: &str = "https://idp";

    fn effect() -> impl Strategy<Value = NoticeEffect> {
        let session = || select(vec!["a", "b", "c"]).prop_map(str::to_owned);
        let level = select(RiskLevel::ALL.to_vec());
        prop_oneof![
            option::of(session()).prop_map(|except| NoticeEffect::Revoked { except }),
            Just(NoticeEffect::Reauthenticate),
            (level, option::of(40_u64..60))
                .prop_map(|(level, until)| NoticeEffect::Risk { level, until }),
            (40_u64..60).prop_map(|until| NoticeEffect::Locked { until }),
            Just(NoticeEffect::Disabled),
            Just(NoticeEffect::Enabled),
        ]
    }

    fn notice() -> impl Strategy<Value = Notice> {
        (effect(), 0_u64..8).prop_map(|(effect, at)| {
            Notice::new(NoticeTarget::subject(ISSUER, "alice"), effect, at, NoticeSource::App, "")
        })
    }

    fn identity() -> impl Strategy<Value = TokenIdentity> {
        (option::of(select(vec!["a", "b", "c"])), 0_u64..9).prop_map(|(sid, authenticated_at)| {
            TokenIdentity {
                session: sid.map(|sid| IdentityKey::session(ISSUER, sid, None)),
                session_at_client: None,
                subject: IdentityKey::subject(ISSUER, "alice", None),
                subject_at_client: None,
                authenticated_at,
            }
        })
    }

    fn fold<'a>(notices: impl IntoIterator<Item = &'a Notice>) -> SessionState {
        let states = notices.into_iter().map(SessionState::of);
        states.fold(SessionState::default(), SessionState::join)
    }

    /// The status by the definition, from all notices at once.
    fn defined(notices: &[Notice], identity: &TokenIdentity) -> SessionStatus {
        // An event at the epoch counts as one second later.
        let at = |notice: &Notice| notice.at.max(1);
        let latest = |times: Vec<u64>| times.into_iter().max();
        let revoked = notices.iter().any(|notice| match &notice.effect {
            NoticeEffect::Revoked { except } => {
                let excepted = except.as_ref().map(|sid| IdentityKey::session(ISSUER, sid, None));
                identity.authenticated_at <= at(notice)
                    && (excepted.is_none() || excepted != identity.session)
            }
            _ => false,
        });
        let account = notices.iter().filter_map(|notice| match notice.effect {
            NoticeEffect::Disabled => Some((at(notice), true)),
            NoticeEffect::Enabled => Some((at(notice), false)),
            _ => None,
        });
        let risk = notices.iter().filter_map(|notice| match notice.effect {
            NoticeEffect::Risk { level, until } => {
                Some((at(notice), level, until.unwrap_or(u64::MAX)))
            }
            _ => None,
        });
        let of = |wanted: fn(&Notice) -> Option<u64>| {
            latest(notices.iter().filter_map(wanted).collect())
        };
        SessionStatus {
            revoked,
            disabled: account.max().is_some_and(|(_, disabled)| disabled),
            locked_until: of(|notice| match notice.effect {
                NoticeEffect::Locked { until } => Some(until),
                _ => None,
            })
            .filter(|until| NOW < *until),
            reauthenticate_after: of(|notice| match notice.effect {
                NoticeEffect::Reauthenticate => Some(notice.at.max(1)),
                _ => None,
            }),
            risk: risk
                .max()
                .filter(|(.., until)| NOW < *until)
                .map_or(RiskLevel::Low, |(_, level, _)| level),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn order_repetition_splitting_and_reloading_change_nothing(
            notices in vec(notice(), 0..8),
            order in vec(any::<Index>(), 0..24),
            split in any::<Index>(),
        ) {
            let whole = fold(&notices);
            if !notices.is_empty() {
                // Every notice once, and some of them again, in another order.
                let repeated = order.iter().map(|index| index.get(&notices));
                prop_assert_eq!(fold(repeated.chain(notices.iter().rev())), whole);
                let (one, two) = notices.split_at(split.index(notices.len()));
                prop_assert_eq!(fold(one).join(fold(two)), whole);
                prop_assert_eq!(fold(two).join(fold(one)), whole);
            }
            prop_assert_eq!(whole.join(whole), whole);
        }

        #[test]
        fn the_fold_has_the_defined_meaning(
            notices in vec(notice(), 0..8),
            identity in identity(),
        ) {
            prop_assert_eq!(fold(&notices).of_subject(&identity, NOW), defined(&notices, &identity));
        }

        /// Except `enabled`, and a risk report that is later.
        #[test]
        fn no_further_notice_makes_the_state_weaker(
            notices in vec(notice(), 0..8),
            further in notice(),
            identity in identity(),
        ) {
            let (before, after) =
                (fold(&notices), fold(notices.iter().chain([&further])));
            let (old, new) =
                (before.of_subject(&identity, NOW), after.of_subject(&identity, NOW));
            prop_assert!(new.revoked >= old.revoked);
            prop_assert!(new.locked_until >= old.locked_until);
            prop_assert!(new.reauthenticate_after >= old.reauthenticate_after);
            if old.disabled && !new.disabled {
                prop_assert_eq!(&further.effect, &NoticeEffect::Enabled);
            }
            if new.risk < old.risk {
                let reports_risk = matches!(further.effect, NoticeEffect::Risk { .. });
                prop_assert!(reports_risk);
            }
        }

        /// A state is forgotten only when no token of the retention time is affected by it any more.
        #[test]
        fn a_state_that_is_over_affects_no_token_that_is_still_accepted(
            notices in vec(notice(), 1..8),
            identity in identity(),
            now in 0_u64..100,
            retention in 1_u64..40,
        ) {
            let state = fold(&notices);
            let accepted = now <= identity.authenticated_at.saturating_add(retention);
            if state.is_over(now, retention) && accepted {
                let status = state.of_subject(&identity, now);
                let after = status.reauthenticate_after;
                prop_assert!(after.is_none_or(|at| identity.authenticated_at > at));
                prop_assert!(!status.revoked && !status.disabled && status.locked_until.is_none());
            }
        }
    }
}
