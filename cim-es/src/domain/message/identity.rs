//! The identity of a message: its own id, and the ids that it inherits.

use std::sync::Arc;

use cid::Cid;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid, Version};

use super::{Meta, MetaValue};

/// Identifies a command and ties it to what caused it.
///
/// A root message is its own correlation and its own cause; a child inherits the correlation of its cause. A command
/// is idempotent by its [message id](Self::message_id): keep the identity when you send a command again, and it takes
/// effect once. One that was refused, or changed nothing, left nothing behind: it is decided anew when it comes again, and
/// may take effect then.
///
/// **Each command needs an identity of its own.** One that comes with the identity of an earlier command on the same
/// aggregate counts as that command sent again: it is not looked at, and the earlier commit is the answer. For what
/// follows from a command, take [`caused_by`](Self::caused_by).
///
/// ```
/// use cim_es::message::MessageIdentity;
///
/// let root = MessageIdentity::new_from_user("my-service");
/// let child = MessageIdentity::caused_by(&root);
/// assert!(root.is_root());
/// assert_eq!(root.causation_id(), None);
/// assert_eq!(child.correlation_id(), root.message_id());
/// assert_eq!(child.causation_id(), Some(root.message_id()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageIdentity {
    message_id: Uuid,
    correlation_id: Uuid,
    causation_id: Uuid,
    actor: Option<Arc<str>>,
    /// The event that caused it, where it was one.
    cause: Option<Arc<Cid>>,
    /// None is without a value.
    meta: Option<Arc<Meta>>,
}

/// What can cause a further message: a message, or an event that is stored.
pub trait Cause {
    /// The id by which the cause is known.
    fn cause_id(&self) -> Uuid;
    /// The correlation that the further message inherits.
    fn correlation_id(&self) -> Uuid;
    /// Who or what stood behind the cause, if known.
    fn actor(&self) -> Option<&str>;
    /// The CID of the cause, where it is a stored event.
    fn cid(&self) -> Option<Cid> {
        None
    }
}

impl MessageIdentity {
    /// A root message from a user or a service, with a new UUID v7.
    pub fn new_from_user(actor: impl AsRef<str>) -> Self {
        Self::root(Uuid::now_v7(), Some(actor.as_ref()))
    }

    /// A root message with an id that the caller gives, such as the id of an HTTP request that may be repeated. A UUID v7 is
    /// the best: that one is new is known by its time, where any other is looked for in the history of a long-lived
    /// aggregate.
    pub fn root(message_id: Uuid, actor: Option<&str>) -> Self {
        Self {
            message_id,
            correlation_id: message_id,
            causation_id: message_id,
            actor: actor.map(Arc::from),
            cause: None,
            meta: None,
        }
    }

    /// A message caused by another message or by a stored event: a new UUID v7, the correlation and the actor of the
    /// cause. It has no [`meta`](Self::meta) but what it is given.
    ///
    /// Where the cause is a stored event, what the message leads to is linked to it: the first event of each aggregate in
    /// its commit has the CID of the cause among its parents.
    ///
    /// Each call is a message of its own. A handler that may get an event twice takes
    /// [`caused_once_by`](Self::caused_once_by).
    pub fn caused_by(cause: &impl Cause) -> Self {
        Self {
            message_id: Uuid::now_v7(),
            correlation_id: cause.correlation_id(),
            causation_id: cause.cause_id(),
            actor: cause.actor().map(Arc::from),
            cause: cause.cid().map(Arc::new),
            meta: None,
        }
    }

    /// The one message that a cause leads to for a purpose: as [`caused_by`](Self::caused_by), with the same id each
    /// time, and with the purpose as its actor, since it is what acts. [`with_actor`](Self::with_actor) names another.
    ///
    /// This is what a handler of events gives its commands: an event that comes again leads to the same command, which
    /// takes effect once. One that was refused, or changed nothing, may take effect when the event comes again. The purpose tells several commands of one event apart, such as `lend_again` and `notify`; it
    /// stays as it is once it was used.
    ///
    /// ```
    /// use cim_es::message::MessageIdentity;
    ///
    /// let event = MessageIdentity::new_from_user("desk");
    /// let once = |purpose| MessageIdentity::caused_once_by(&event, purpose);
    /// assert_eq!(once("lend_again"), once("lend_again"));
    /// assert_ne!(once("lend_again").message_id(), once("notify").message_id());
    /// assert_eq!(once("notify").causation_id(), Some(event.message_id()));
    /// assert_eq!(once("notify").actor(), Some("notify"));
    /// ```
    pub fn caused_once_by(cause: &impl Cause, purpose: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(cause.cause_id().as_bytes())
            .chain_update(purpose)
            .finalize();
        // With the time of the cause, by which a repository tells at once that a message is newer than all it had.
        let message_id = match time_of(cause.cause_id()) {
            Some(millis) => {
                let mut random = [0; 10];
                random.copy_from_slice(&digest[..10]);
                Builder::from_unix_timestamp_millis(millis, &random)
            }
            None => {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&digest[..16]);
                Builder::from_custom_bytes(bytes)
            }
        };
        Self::caused_by(cause)
            .with_message_id(message_id.into_uuid())
            .with_actor(purpose)
    }

    /// The same identity under another id: what a source of ids of one's own, or a test, needs.
    pub fn with_message_id(self, message_id: Uuid) -> Self {
        if self.is_root() {
            return Self {
                message_id,
                correlation_id: message_id,
                causation_id: message_id,
                ..self
            };
        }
        Self { message_id, ..self }
    }

    /// The same identity with another actor: who or what issues the message.
    pub fn with_actor(self, actor: impl AsRef<str>) -> Self {
        Self {
            actor: Some(Arc::from(actor.as_ref())),
            ..self
        }
    }

    /// The same identity with a value of the author's own, which `decide` sees
    /// ([`Context::meta`](super::Context::meta)) and which each event of the command has in its envelope. A second value
    /// under a name replaces the first.
    ///
    /// All values have at most 2 KB as dag-cbor ([`Meta::LIMIT`]); a commit with more is refused, and nothing of it is
    /// stored.
    ///
    /// ```
    /// use cim_es::message::MessageIdentity;
    ///
    /// let identity = MessageIdentity::new_from_user("desk").with_meta("tenant", "north").with_meta("release", 7);
    /// assert_eq!(identity.meta().text("tenant"), Some("north"));
    /// assert_eq!(identity.meta().len(), 2);
    /// ```
    pub fn with_meta(mut self, name: impl Into<String>, value: impl Into<MetaValue>) -> Self {
        Arc::make_mut(self.meta.get_or_insert_default()).insert(name, value);
        self
    }

    /// The id of this message.
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// The id of the root message of the conversation.
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// The id of what caused this message; none for a root message.
    pub fn causation_id(&self) -> Option<Uuid> {
        (!self.is_root()).then_some(self.causation_id)
    }

    /// The CID of the stored event that caused this message; none where a message did, or nothing.
    pub fn cause(&self) -> Option<Cid> {
        self.cause.as_deref().copied()
    }

    /// Whether nothing caused this message.
    pub fn is_root(&self) -> bool {
        self.causation_id == self.message_id
    }

    /// Who or what issued this message.
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// The values of the author's own beside this message.
    pub fn meta(&self) -> &Meta {
        static NONE: Meta = Meta::new();
        self.meta.as_deref().unwrap_or(&NONE)
    }
}

/// The time in a UUID v7, in milliseconds since the Unix epoch.
fn time_of(id: Uuid) -> Option<u64> {
    let is_timed = id.get_version() == Some(Version::SortRand);
    is_timed.then(|| id.as_u64_pair().0 >> 16)
}

impl Cause for MessageIdentity {
    fn cause_id(&self) -> Uuid {
        self.message_id
    }

    fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }
}
