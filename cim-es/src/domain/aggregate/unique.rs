//! Names that at most one aggregate holds at a time.

use std::borrow::Cow;
use std::fmt;

/// A name that at most one aggregate holds at a time, within a scope: a host name among the live machines, the number of
/// a member, the code of a unit in its organization.
///
/// `#[aggregate(…, unique = Compute::unique_names)]` names a function that lists the names that the aggregate holds in
/// its present state. The repository compares the names before and after the events of a command: in the commit of these
/// events it reserves what is new and releases what is gone. Two commands that claim one name never both succeed,
/// whichever process they run in.
///
/// ```
/// use cim_es::prelude::*;
///
/// #[derive(StateMachine, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// enum MemberState {
///     #[state(initial)]
///     #[on(Join / Joined => Active)]
///     Unknown,
///     #[on(Leave / Left => Gone)]
///     Active,
///     #[state(terminal)]
///     Gone,
/// }
///
/// #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
/// enum MemberEvent {
///     Joined { email: String },
///     Left,
/// }
///
/// #[derive(Command, Clone, Debug)]
/// enum MemberCommand {
///     Join { email: String },
///     Leave,
/// }
///
/// #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// #[aggregate(domain = "club", name = "member", unique = Member::unique_names)]
/// struct Member {
///     state: MemberState,
///     email: Option<String>,
/// }
///
/// impl Member {
///     /// An address belongs to one active member.
///     fn unique_names(&self) -> Vec<UniqueName> {
///         let is_active = self.state == MemberState::Active;
///         let email = self.email.iter().filter(|_| is_active);
///         email.map(|email| UniqueName::new("email", email)).collect()
///     }
/// }
///
/// impl Decide for Member {
///     fn decide(&self, command: MemberCommand, _: &Context) -> Decision<Self> {
///         match command {
///             MemberCommand::Join { email } => emit(MemberEvent::Joined { email }),
///             MemberCommand::Leave => emit(MemberEvent::Left),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let members = Repository::<Member>::new(MemoryEventStore::new());
/// let (ann, bob) = (Id::new(), Id::new());
/// let join = || MemberCommand::Join { email: "ann@example.org".into() };
/// members.execute(&ann, join(), &MessageIdentity::new_from_user("desk")).await?;
/// let taken = members.execute(&bob, join(), &MessageIdentity::new_from_user("desk")).await;
/// assert!(taken.is_err());
/// members.execute(&ann, MemberCommand::Leave, &MessageIdentity::new_from_user("desk")).await?;
/// members.execute(&bob, join(), &MessageIdentity::new_from_user("desk")).await?;
/// # Ok(())
/// # }
/// ```
///
/// A name is itself an aggregate in the store, of the kind `<domain>.<scope>`, with the events `reserved` and `released`;
/// they stand in the history and are published like all others, so a name must not be a secret. A commit that changes
/// names reads the last event of each of them, and is a commit over several aggregates; one that changes none costs
/// nothing more. Names of aggregates that were stored before `unique` was declared are not reserved until they change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueName {
    scope: Cow<'static, str>,
    name: String,
}

impl UniqueName {
    /// A name in a scope. The scope is one token of a subject and the last part of a kind that no aggregate of the domain
    /// has, such as `hostname`; the name is any text, compared byte by byte.
    ///
    /// `#[aggregate(unique = …, scope = "hostname")]` says the scopes of an aggregate's names: then
    /// [`domain!`](crate::domain!) refuses one that is taken, and a repository any other.
    ///
    /// A name that is unique only within something else carries that in front, such as `<organization>/<code>`.
    pub fn new(scope: impl Into<Cow<'static, str>>, name: impl fmt::Display) -> Self {
        Self {
            scope: scope.into(),
            name: name.to_string(),
        }
    }

    /// The scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for UniqueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.scope, self.name)
    }
}
