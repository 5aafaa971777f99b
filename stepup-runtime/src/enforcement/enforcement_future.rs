//! The result of enforcement, immediate or pending.

use crate::refusal::Refusal;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The result of enforcement as a future. The result is ready, and the future needs no allocation, unless only the
/// token's issuer can confirm the token. `T` is what an allowed request yields.
#[must_use = "a request is not authorized until its enforcement has returned Ok"]
pub struct Enforcement<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<Result<T, Refusal>>),
    Waiting(Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>),
}

impl<'a, T> Enforcement<'a, T> {
    pub(crate) fn ready(result: Result<T, Refusal>) -> Self {
        Self(State::Ready(Some(result)))
    }

    pub(crate) fn waiting(future: impl Future<Output = Result<T, Refusal>> + Send + 'a) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }

    /// Whether the result has to wait for the token's issuer. A caller can limit how many requests wait at once.
    pub fn is_waiting(&self) -> bool {
        matches!(self.0, State::Waiting(_))
    }

    /// Changes what an allowed request yields.
    pub(crate) fn map<U>(self, change: fn(T) -> U) -> Enforcement<'a, U>
    where
        T: 'a,
        U: 'a,
    {
        match self.0 {
            State::Ready(result) => {
                Enforcement(State::Ready(result.map(|result| result.map(change))))
            }
            State::Waiting(future) => Enforcement::waiting(async move { future.await.map(change) }),
        }
    }
}

impl<T: Unpin> Future for Enforcement<'_, T> {
    type Output = Result<T, Refusal>;

    #[expect(clippy::expect_used, reason = "the contract of Future: no poll after completion")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(result.take().expect("polled after completion")),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for Enforcement<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcement").field("waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}
