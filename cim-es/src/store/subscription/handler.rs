//! What a subscriber does with each event.

use std::fmt;
use std::future::Future;
use std::iter::repeat_n;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::event::DomainEvent;

/// What a subscriber does with each event.
///
/// An event may come again: after an error, and after the program ended before it was known to be done. A handler that
/// must not do a thing twice looks at the event's position or CID.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Does it. The event is proved.
    ///
    /// # Errors
    /// With an error the event comes again after a while; past the limit it is parked with this reason.
    async fn handle(&self, event: StoredEvent) -> Result<(), HandlerError>;
}

/// Why a handler could not do its work: any error, by `?`, or a text.
///
/// ```
/// use cim_es::subscription::HandlerError;
///
/// fn count(text: &str) -> Result<u64, HandlerError> {
///     let count: u64 = text.parse()?;
///     if count == 0 {
///         return Err(HandlerError::permanent("nothing to count"));
///     }
///     Ok(count)
/// }
/// assert_eq!(count("?").unwrap_err().to_string(), "invalid digit found in string");
/// ```
// It is no `std::error::Error` itself, so that `?` takes every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    reason: String,
    is_permanent: bool,
}

impl HandlerError {
    /// A reason that may pass: the event comes again.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            is_permanent: false,
        }
    }

    /// A reason that will not pass: the event is parked at once.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            is_permanent: true,
        }
    }

    /// Whether trying again has no sense.
    pub fn is_permanent(&self) -> bool {
        self.is_permanent
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for HandlerError {
    /// The error with its sources.
    fn from(error: E) -> Self {
        Self::new(ErrorChain(&error))
    }
}

type Work = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler made of a closure, which may be plain or give a future.
///
/// A closure that works longer than a moment belongs into an async one with `tokio::task::spawn_blocking`.
///
/// ```
/// use cim_es::block::StoredEvent;
/// use cim_es::subscription::FnEventHandler;
///
/// let plain = FnEventHandler::new(|event: StoredEvent| {
///     println!("{}", event.event_type());
///     Ok(())
/// });
/// let with_future = FnEventHandler::new(|event: StoredEvent| async move {
///     println!("{}", event.event_type());
///     Ok(())
/// });
/// ```
pub struct FnEventHandler {
    work: Box<dyn Fn(StoredEvent) -> Work + Send + Sync>,
}

/// What [`FnEventHandler::new`] takes; `Form` tells the plain closures from those that give a future.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this is no handler of events",
    label = "not a closure of one argument that gives `Result<(), HandlerError>`, at once or as a future",
    note = "write `FnEventHandler::new(async |event: StoredEvent| {{ …; Ok(()) }})`, or with the typed event `FnEventHandler::typed(async |(event, stored): (YourEvent, StoredEvent)| {{ …; Ok(()) }})`"
)]
pub trait HandlerFn<Argument, Form>: Send + Sync + 'static {
    fn call(&self, argument: Argument) -> Work;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Plain;

#[doc(hidden)]
#[derive(Debug)]
pub struct Eventual<F>(PhantomData<F>);

impl<F, Argument> HandlerFn<Argument, Plain> for F
where
    F: Fn(Argument) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn call(&self, argument: Argument) -> Work {
        let done = self(argument);
        Box::pin(async move { done })
    }
}

impl<F, Argument, Done> HandlerFn<Argument, Eventual<Done>> for F
where
    F: Fn(Argument) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn call(&self, argument: Argument) -> Work {
        Box::pin(self(argument))
    }
}

impl FnEventHandler {
    /// A handler of a closure `Fn(StoredEvent)`.
    pub fn new<Form>(work: impl HandlerFn<StoredEvent, Form>) -> Self {
        Self {
            work: Box::new(move |event| work.call(event)),
        }
    }

    /// A handler of a closure `Fn((E, StoredEvent))` that gets the typed event, brought up to the present schema,
    /// beside what is stored. An event that this program does not know, or cannot read, is parked.
    ///
    /// Where what is stored as one event is read as several, the closure gets one after another; when it fails for one,
    /// the stored event comes again, with all of them. What is read as none is done with.
    pub fn typed<E: DomainEvent, Form>(work: impl HandlerFn<(E, StoredEvent), Form>) -> Self {
        let work = Arc::new(work);
        Self {
            work: Box::new(move |stored| match stored.decoded::<E>() {
                Ok(events) => {
                    let (work, count) = (Arc::clone(&work), events.len());
                    Box::pin(async move {
                        for pair in events.into_iter().zip(repeat_n(stored, count)) {
                            work.call(pair).await?;
                        }
                        Ok(())
                    })
                }
                Err(error) => Box::pin(async move { Err(HandlerError::permanent(error)) }),
            }),
        }
    }
}

#[async_trait]
impl EventHandler for FnEventHandler {
    async fn handle(&self, event: StoredEvent) -> Result<(), HandlerError> {
        (self.work)(event).await
    }
}

impl fmt::Debug for FnEventHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnEventHandler").finish_non_exhaustive()
    }
}
