//! How many introspections may run and wait. Anybody can send made-up tokens, so a part of the introspections is
//! reserved for tokens that were active before, and for clients with few requests.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The most concurrent introspections of any tokens, and of reserved ones in addition.
const MAX_CONCURRENT: usize = 192;
const RESERVED: usize = 64;

/// The most requests of each kind that wait for an introspection to end, and how long each of them waits. A request that
/// waits has a place in a queue, so that a new login gets its turn between made-up tokens.
const MAX_WAITING: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The most requests of one client, running and waiting, that may use the reserved introspections.
const FEW_REQUESTS: usize = 8;

/// Admits introspections.
#[derive(Debug)]
pub(super) struct Admission {
    open: Pool,
    reserved: Pool,
    clients: Arc<Clients>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            open: Pool::new(MAX_CONCURRENT),
            reserved: Pool::new(RESERVED),
            clients: Arc::default(),
        }
    }
}

/// The permission for one introspection.
#[derive(Debug)]
pub(super) struct AdmissionPermit {
    _permit: OwnedSemaphorePermit,
    _counted: Option<CountedRequest>,
}

impl Admission {
    /// The permission for one introspection, after a wait if too many are running. `None` if the wait is too long. Without
    /// a client's address, only a token that was active before can use the reserved introspections.
    pub(super) async fn permit(
        &self,
        was_active: bool,
        client: Option<IpAddr>,
    ) -> Option<AdmissionPermit> {
        let counted = client.map(|address| self.clients.count(address));
        let few = counted.as_ref().is_some_and(|counted| counted.number <= FEW_REQUESTS);
        let permit = if was_active || few {
            match self.reserved.permit_now().or_else(|| self.open.permit_now()) {
                None => self.reserved.permit_later().await,
                permit => permit,
            }
        } else {
            match self.open.permit_now() {
                None => self.open.permit_later().await,
                permit => permit,
            }
        };
        Some(AdmissionPermit { _permit: permit?, _counted: counted })
    }
}

/// Introspections that share a limit, and the queue for them.
#[derive(Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Pool {
    fn new(permits: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)), waiting: Semaphore::new(MAX_WAITING) }
    }

    fn permit_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    async fn permit_later(&self) -> Option<OwnedSemaphorePermit> {
        let _place = self.waiting.try_acquire().ok()?;
        timeout(LONGEST_WAIT, Arc::clone(&self.permits).acquire_owned()).await.ok()?.ok()
    }
}

/// The number of running and waiting requests of each client. There are never more entries than requests.
#[derive(Debug, Default)]
struct Clients(Mutex<HashMap<IpAddr, usize>>);

impl Clients {
    fn count(self: &Arc<Self>, address: IpAddr) -> CountedRequest {
        let address = network(address);
        let mut numbers = self.numbers();
        let number = numbers.entry(address).or_default();
        *number += 1;
        CountedRequest { clients: Arc::clone(self), address, number: *number }
    }

    /// A poisoned lock is usable: the state is plain data and always consistent.
    fn numbers(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request of a client, until it is dropped.
#[derive(Debug)]
struct CountedRequest {
    clients: Arc<Clients>,
    address: IpAddr,
    /// The number of the client's requests, with this one.
    number: usize,
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        let mut numbers = self.clients.numbers();
        if let Some(number) = numbers.get_mut(&self.address) {
            *number -= 1;
            if *number == 0 {
                numbers.remove(&self.address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, because one subscriber has all of its
/// addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fill(admission: &Admission, client: Option<IpAddr>) -> Vec<AdmissionPermit> {
        let mut permits = Vec::new();
        loop {
            tokio::select! {
                biased;
                permit = admission.permit(false, client) => permits.extend(permit),
                () = tokio::task::yield_now() => return permits,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_with_many_made_up_tokens_does_not_delay_the_others() {
        let admission = Admission::default();
        let attacker: IpAddr = "2001:db8::1".parse().unwrap();
        let permits = fill(&admission, Some(attacker)).await;
        assert_eq!(permits.len(), MAX_CONCURRENT + FEW_REQUESTS);
        let neighbor = Some("2001:db8::2".parse().unwrap());
        assert!(admission.permit(false, neighbor).await.is_none(), "the same network");
        assert!(admission.permit(false, None).await.is_none(), "an unknown address");
        let others = (0..RESERVED - FEW_REQUESTS).map(|n| IpAddr::from([192, 0, 2, n as u8]));
        let mut others = Vec::from_iter(others);
        let last = others.pop();
        let mut held = Vec::new();
        for other in others {
            held.push(admission.permit(false, Some(other)).await.expect("a permit"));
        }
        assert!(admission.permit(true, None).await.is_some(), "a token that was active");
        assert!(admission.permit(false, last).await.is_some());
        drop((permits, held));
        assert!(admission.clients.numbers().is_empty());
        assert!(admission.permit(false, Some(attacker)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_limited_time() {
        let admission = Admission::default();
        let mut permits = fill(&admission, None).await;
        assert_eq!(permits.len(), MAX_CONCURRENT);
        let later = async {
            tokio::time::sleep(LONGEST_WAIT / 2).await;
            permits.pop();
        };
        let (permit, ()) = tokio::join!(admission.permit(false, None), later);
        assert!(permit.is_some());
        assert!(admission.permit(false, None).await.is_none());
    }
}
