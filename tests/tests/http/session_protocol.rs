//! A model of the session log in Redis, checked exhaustively for two servers, two notices and one instance: an acknowledged
//! notice is never lost, and an instance that counts as fresh knows every notice that was acknowledged before.
//!
//! | step of the model | code in `stepup-runtime/src/session/` |
//! |---|---|
//! | `Append`, `Confirm` | `redis_log.rs`: `Writer::write`, `Shared::confirmed` |
//! | `StartRead`, `FinishRead` | `redis_log.rs`: `RedisFollower::read_once`, `entries` |
//! | `Heartbeat` | `redis_log.rs`: `RedisFollower::heartbeat`; `store.rs`: `SessionStore::take` |
//! | `Reconnect` | `redis_log.rs`: `RedisFollower::reconnect` |
//! | whether the instance is fresh | `store.rs`: `SessionStore::is_fresh` |
//!
//! `Replicate`, `Cut`, `Promote`, `Heal` and `Crash` are what Redis does. Servers keep their data when they crash, which
//! needs `appendfsync always`.

use stateright::{Checker, HasDiscoveries, Model, Property};

const NOTICES: usize = 2;

/// Ages are counted up to this many ticks; an instance of this age is stale.
const OLDEST: u8 = 2;

/// How often the master changes, and how often a server crashes.
const FAILOVERS: u8 = 2;
const CRASHES: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Server {
    /// The notices, in their order.
    log: Vec<usize>,
    running: bool,
    /// Whether it accepts writes.
    is_master: bool,
    /// The history of its entries, which changes when it becomes a master or a replica.
    history: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Write {
    NotSent,
    /// Written at this server, and not confirmed.
    At(usize),
    /// Confirmed this many ticks ago.
    Acknowledged(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Instance {
    server: Option<usize>,
    /// The history of the server when the instance connected.
    history: u8,
    /// How many entries of the server it has read.
    position: usize,
    known: [bool; NOTICES],
    /// The age of the read that has started, and, after its end, how many entries were known before.
    read: Option<(u8, Option<usize>)>,
    /// How long ago the log was complete, as far as the instance knows.
    age: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    servers: [Server; 2],
    /// Whether the servers can reach each other.
    linked: bool,
    /// The server that clients find as the master.
    found: usize,
    failovers: u8,
    crashes: u8,
    /// The server that the writer is connected to.
    writer: usize,
    writes: [Write; NOTICES],
    instance: Instance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Append(usize),
    Confirm(usize),
    /// The writer looks for the master again.
    MoveWriter,
    Replicate,
    Cut,
    Crash(usize),
    Restart(usize),
    Promote,
    Heal,
    StartRead,
    FinishRead,
    Heartbeat,
    Reconnect,
    Tick,
}

/// The protocol, or a broken variant of it, which the checker must refute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Real,
    /// Writes are acknowledged without a replica.
    WithoutConfirmation,
    /// The instance counts as fresh from the heartbeat on, and not from the read on.
    FreshFromHeartbeat,
    /// The position is kept when another server is read.
    KeptPosition,
    /// A heartbeat of a server that became a replica and a master again counts.
    UncheckedHistory,
    /// Notices are dropped if the heartbeat after them fails, and the position is kept.
    DroppedWithoutHeartbeat,
}

impl State {
    /// Whether the other server replicates this one now.
    fn has_replica(&self, server: usize) -> bool {
        let (this, other) = (&self.servers[server], &self.servers[1 - server]);
        self.linked && this.running && other.running && this.is_master && !other.is_master
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        // The histories of the two servers differ.
        let server =
            |is_master, history| Server { log: Vec::new(), running: true, is_master, history };
        let instance = Instance {
            server: None,
            history: 0,
            position: 0,
            known: [false; NOTICES],
            read: None,
            age: OLDEST,
        };
        vec![State {
            servers: [server(true, 1), server(false, 101)],
            linked: true,
            found: 0,
            failovers: 0,
            crashes: 0,
            writer: 0,
            writes: [Write::NotSent; NOTICES],
            instance,
        }]
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        use Step::{
            Append, Confirm, Crash, Cut, FinishRead, Heal, Heartbeat, MoveWriter, Promote,
            Reconnect, Replicate, Restart, StartRead, Tick,
        };
        steps.extend((0..NOTICES).flat_map(|notice| [Append(notice), Confirm(notice)]));
        steps.extend((0..2).flat_map(|server| [Crash(server), Restart(server)]));
        steps.extend([MoveWriter, Replicate, Cut, Promote, Heal]);
        steps.extend([StartRead, FinishRead, Heartbeat, Reconnect, Tick]);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        let State { servers, instance, crashes, .. } = &mut state;
        match step {
            Step::Append(notice) => {
                let server = &mut servers[last.writer];
                let acknowledged = matches!(last.writes[notice], Write::Acknowledged(_));
                if acknowledged || !server.running || !server.is_master {
                    return None;
                }
                if !server.log.contains(&notice) {
                    server.log.push(notice);
                }
                state.writes[notice] = Write::At(last.writer);
            }
            Step::Confirm(notice) => {
                let Write::At(server) = last.writes[notice] else { return None };
                let [this, other] = [&last.servers[server].log, &last.servers[1 - server].log];
                // A replica that is not synchronized yet confirms nothing.
                let copied = this.starts_with(other) && other.contains(&notice);
                let confirmed = last.has_replica(server) && copied;
                let written = last.servers[server].running && last.servers[server].is_master;
                if !(confirmed || (*self == Self::WithoutConfirmation && written)) {
                    return None;
                }
                state.writes[notice] = Write::Acknowledged(0);
            }
            Step::MoveWriter => {
                state.writer = last.found;
                // What was not acknowledged is written again.
                for write in &mut state.writes {
                    if matches!(write, Write::At(_)) {
                        *write = Write::NotSent;
                    }
                }
            }
            Step::Replicate => {
                let master = (0..2).find(|server| last.has_replica(*server))?;
                let (from, to) = (last.servers[master].log.clone(), &mut servers[1 - master].log);
                if from.starts_with(to) {
                    to.push(*from.get(to.len())?);
                } else {
                    // A full synchronization.
                    *to = from;
                }
            }
            Step::Cut => state.linked = false,
            Step::Crash(server) => {
                if last.crashes == CRASHES || !last.servers[server].running {
                    return None;
                }
                *crashes += 1;
                servers[server].running = false;
                // Its connections are closed.
                if instance.server == Some(server) {
                    (instance.server, instance.read) = (None, None);
                }
                for write in &mut state.writes {
                    if *write == Write::At(server) {
                        *write = Write::NotSent;
                    }
                }
            }
            Step::Restart(server) => {
                if last.servers[server].running {
                    return None;
                }
                // A restarted server is not promoted at once, and follows the master that it finds.
                servers[server].running = true;
                servers[server].is_master &= last.found == server;
                servers[server].history += 1;
            }
            Step::Promote => {
                let new = 1 - last.found;
                let lost = !last.linked || !last.servers[last.found].running;
                if last.failovers == FAILOVERS || !lost || !last.servers[new].running {
                    return None;
                }
                servers[new].is_master = true;
                servers[new].history += 1;
                state.found = new;
                state.failovers += 1;
            }
            Step::Heal => {
                // The old master learns that there is another one.
                servers[1 - last.found].history += u8::from(servers[1 - last.found].is_master);
                servers[1 - last.found].is_master = false;
                state.linked = true;
            }
            Step::StartRead => {
                let server = instance.server?;
                if !last.servers[server].running || instance.read.is_some() {
                    return None;
                }
                instance.read = Some((0, None));
            }
            Step::FinishRead => {
                let (server, (age, None)) = (instance.server?, instance.read?) else {
                    return None;
                };
                if !last.servers[server].running {
                    return None;
                }
                if *self != Self::DroppedWithoutHeartbeat {
                    for notice in last.servers[server].log.iter().skip(instance.position) {
                        instance.known[*notice] = true;
                    }
                }
                let before = instance.position;
                instance.position = last.servers[server].log.len();
                instance.read = Some((age, Some(before)));
            }
            Step::Heartbeat => {
                let (server, (age, Some(before))) = (instance.server?, instance.read?) else {
                    return None;
                };
                let Server { running, is_master, history, .. } = last.servers[server];
                // The heartbeat is a write after all entries.
                let copied = last.servers[0].log == last.servers[1].log;
                let confirmed = last.has_replica(server) && copied;
                let same = history == instance.history || *self == Self::UncheckedHistory;
                instance.read = None;
                if running && is_master && confirmed && same {
                    if *self == Self::DroppedWithoutHeartbeat {
                        let log = last.servers[server].log.iter();
                        for notice in log.take(instance.position).skip(before) {
                            instance.known[*notice] = true;
                        }
                    }
                    let fresh = *self == Self::FreshFromHeartbeat;
                    instance.age = instance.age.min(if fresh { 0 } else { age });
                } else {
                    instance.server = None;
                }
            }
            Step::Reconnect => {
                let found = &last.servers[last.found];
                if !found.running {
                    return None;
                }
                // Another history may have other entries, so everything is read again.
                if instance.history != found.history && *self != Self::KeptPosition {
                    instance.position = 0;
                }
                instance.history = found.history;
                (instance.server, instance.read) = (Some(last.found), None);
            }
            Step::Tick => {
                let older = |age: u8| (age + 1).min(OLDEST);
                instance.age = older(instance.age);
                instance.read = instance.read.map(|(age, ended)| (older(age), ended));
                for write in &mut state.writes {
                    if let Write::Acknowledged(age) = write {
                        *age = older(*age);
                    }
                }
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn acknowledged(write: Write) -> Option<u8> {
            match write {
                Write::Acknowledged(age) => Some(age),
                _ => None,
            }
        }
        vec![
            Property::always("no acknowledged notice is lost", |_, state: &State| {
                let master = &state.servers[state.found];
                let mut notices = state.writes.iter().enumerate();
                notices.all(|(notice, write)| {
                    acknowledged(*write).is_none() || master.log.contains(&notice)
                })
            }),
            Property::always("a fresh instance knows what was acknowledged", |_, state: &State| {
                let Instance { age, known, .. } = &state.instance;
                let mut notices = state.writes.iter().enumerate();
                *age == OLDEST
                    || notices.all(|(notice, write)| {
                        acknowledged(*write).is_none_or(|since| since <= *age) || known[notice]
                    })
            }),
            Property::sometimes("an instance is fresh after two failovers", |_, state: &State| {
                state.failovers == FAILOVERS
                    && state.instance.age == 0
                    && state.instance.known == [true; NOTICES]
            }),
        ]
    }
}

#[test]
#[ignore = "explores more than a million states; run tests/run"]
fn no_acknowledged_notice_is_lost_and_no_fresh_instance_misses_one() {
    let checker = Protocol::Real.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
    assert!(checker.unique_state_count() > 10_000, "{}", checker.unique_state_count());
}

/// Each part of the protocol is needed: without it, the checker finds a counterexample.
#[test]
#[ignore = "explores many states; run tests/run"]
fn broken_variants_of_the_protocol_are_refuted() {
    let lost = "no acknowledged notice is lost";
    let missed = "a fresh instance knows what was acknowledged";
    for (protocol, refuted) in [
        (Protocol::WithoutConfirmation, lost),
        (Protocol::FreshFromHeartbeat, missed),
        (Protocol::KeptPosition, missed),
        (Protocol::UncheckedHistory, missed),
        (Protocol::DroppedWithoutHeartbeat, missed),
    ] {
        let checker = protocol.checker().threads(2);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(checker.discovery(refuted).is_some(), "{protocol:?} should violate: {refuted}");
    }
}
