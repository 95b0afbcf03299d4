//! What a bucket is for, and with which settings it can be that.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::create::Layout;

/// What a bucket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Snapshots, small ones.
    Snapshots,
    /// Snapshots that do not fit into a message.
    LargeSnapshots,
    /// Objects under their CIDs.
    Objects,
    /// Links between objects.
    Links,
    /// How far readers have come.
    Checkpoints,
    /// Who works on a subscription, and which events are parked.
    Coordination,
    /// Views of documents.
    ReadModels,
}

/// Whether a bucket may lose what it keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// It is a cache: what is lost is made again.
    ForNow,
    ForGood,
}

/// A setting that stands in the way: its name, its value, and what it leads to.
struct Hindrance {
    about: &'static str,
    found: String,
    leads_to: &'static str,
}

impl Purpose {
    /// The layout of such a bucket.
    pub(super) fn layout(self) -> Layout {
        match self {
            Self::LargeSnapshots | Self::Objects => Layout::Objects,
            Self::Snapshots
            | Self::Links
            | Self::Checkpoints
            | Self::Coordination
            | Self::ReadModels => Layout::KeyValue,
        }
    }

    fn keeps(self) -> Keeps {
        match self {
            Self::Snapshots | Self::LargeSnapshots => Keeps::ForNow,
            Self::Objects
            | Self::Links
            | Self::Checkpoints
            | Self::Coordination
            | Self::ReadModels => Keeps::ForGood,
        }
    }

    /// Why the stream under a bucket cannot be used for this; none when it can.
    pub(super) fn refusal(self, name: &str, found: &Config) -> Option<String> {
        let hindrance = self.hindrance(name, found)?;
        let Hindrance {
            about,
            found,
            leads_to,
        } = hindrance;
        Some(format!(
            "`{about}` is {found}, and {leads_to}: let an operator change it, or use another bucket"
        ))
    }

    /// The settings are taken apart by name, so that a new one cannot be forgotten.
    fn hindrance(self, name: &str, found: &Config) -> Option<Hindrance> {
        let Config {
            // What changes nothing for what is kept in a bucket.
            name: _,
            description: _,
            metadata: _,
            template_owner: _,
            placement: _,
            compression: _,
            first_sequence: _,
            mirror_direct: _,
            pause_until: _,
            republish: _,
            duplicate_window: _,
            // A bucket is read from its leader and has no consumers.
            allow_direct: _,
            max_consumers: _,
            consumer_limits: _,
            // What the store writes asks for none of these.
            allow_rollup: _,
            allow_message_ttl: _,
            subject_delete_marker_ttl: _,
            allow_atomic_publish: _,
            allow_batch_publish: _,
            allow_message_schedules: _,
            // What is no longer needed stays, and is only in the way.
            deny_delete: _,
            deny_purge: _,
            // Compared where the bucket is opened.
            max_message_size: _,
            num_replicas: _,
            subjects,
            retention,
            storage,
            persist_mode,
            max_age,
            max_bytes,
            max_messages,
            max_messages_per_subject,
            discard,
            discard_new_per_subject,
            no_ack,
            sealed,
            mirror,
            sources,
            subject_transform,
            allow_message_counter,
        } = found;
        let layout = self.layout();
        let is_for_good = self.keeps() == Keeps::ForGood;
        let limit = |count: i64| (count > 0).then_some(count);
        let is = |about, found: &dyn std::fmt::Debug, leads_to| {
            Some(Hindrance {
                about,
                found: format!("{found:?}"),
                leads_to,
            })
        };

        let wanted = layout.subjects(name);
        if !wanted.iter().all(|subject| subjects.contains(subject)) {
            return is("subjects", subjects, "what is written here goes elsewhere");
        }
        if *retention != RetentionPolicy::Limits {
            return is("retention", retention, "values go once they are read");
        }
        if mirror.is_some() || sources.as_ref().is_some_and(|them| !them.is_empty()) {
            let about = if mirror.is_some() {
                "mirror"
            } else {
                "sources"
            };
            return is(
                about,
                &"set",
                "values of another stream would be taken for its own",
            );
        }
        if subject_transform.is_some() {
            return is(
                "subject_transform",
                &"set",
                "values are kept under other keys",
            );
        }
        if *no_ack {
            return is("no_ack", no_ack, "nobody would know what was stored");
        }
        if *sealed {
            return is("sealed", sealed, "nothing can be written any more");
        }
        if *allow_message_counter {
            let leads_to = "every value would have to be a counter";
            return is("allow_msg_counter", allow_message_counter, leads_to);
        }
        if *discard_new_per_subject {
            let leads_to = "a value could not be replaced";
            return is("discard_new_per_subject", discard_new_per_subject, leads_to);
        }
        if layout == Layout::Objects && limit(*max_messages_per_subject).is_some() {
            let leads_to = "the first parts of an object would be dropped";
            return is("max_msgs_per_subject", max_messages_per_subject, leads_to);
        }
        if !is_for_good {
            return None;
        }
        if *storage != StorageType::File {
            return is("storage", storage, "all would be gone with a restart");
        }
        if *persist_mode == Some(PersistenceMode::Async) {
            return is(
                "persist_mode",
                &"async",
                "what was acknowledged could be lost",
            );
        }
        if *max_age > Duration::ZERO {
            return is("max_age", max_age, "what was kept would be dropped by age");
        }
        if *discard == DiscardPolicy::Old {
            let full = [("max_bytes", *max_bytes), ("max_msgs", *max_messages)];
            let full = full
                .into_iter()
                .find_map(|(about, count)| Some((about, limit(count)?)));
            if let Some((about, count)) = full {
                let leads_to = "a full bucket would drop the oldest, as `discard` is old";
                return is(about, &count, leads_to);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 7] = [
        Purpose::Snapshots,
        Purpose::LargeSnapshots,
        Purpose::Objects,
        Purpose::Links,
        Purpose::Checkpoints,
        Purpose::Coordination,
        Purpose::ReadModels,
    ];

    fn refused(change: impl Fn(&mut Config)) -> Vec<Purpose> {
        let is_refused = |purpose: &Purpose| {
            let mut config = purpose.layout().config("b", 1);
            change(&mut config);
            purpose.refusal("b", &config).is_some()
        };
        ALL.into_iter().filter(is_refused).collect()
    }

    #[test]
    fn a_bucket_as_it_is_made_here_is_taken() {
        assert_eq!(refused(|_| {}), []);
    }

    #[test]
    fn what_breaks_any_bucket_is_refused_for_all() {
        assert_eq!(refused(|it| it.subjects = vec!["other.>".into()]), ALL);
        assert_eq!(refused(|it| it.retention = RetentionPolicy::WorkQueue), ALL);
        assert_eq!(
            refused(|it| it.sources = Some(vec![Default::default()])),
            ALL
        );
        assert_eq!(refused(|it| it.mirror = Some(Default::default())), ALL);
        assert_eq!(refused(|it| it.no_ack = true), ALL);
        assert_eq!(refused(|it| it.sealed = true), ALL);
        assert_eq!(refused(|it| it.allow_message_counter = true), ALL);
        assert_eq!(refused(|it| it.discard_new_per_subject = true), ALL);
    }

    #[test]
    fn what_loses_values_is_refused_where_they_are_no_cache() {
        let for_good = &ALL[2..];
        assert_eq!(refused(|it| it.storage = StorageType::Memory), for_good);
        assert_eq!(refused(|it| it.max_age = Duration::from_secs(60)), for_good);
        assert_eq!(
            refused(|it| it.persist_mode = Some(PersistenceMode::Async)),
            for_good
        );
        let drops = |it: &mut Config| {
            it.discard = DiscardPolicy::Old;
            it.max_bytes = 1_000;
        };
        assert_eq!(refused(drops), for_good);
        // Without a limit nothing is dropped; with one, a full bucket refuses.
        assert_eq!(refused(|it| it.discard = DiscardPolicy::Old), []);
        assert_eq!(refused(|it| it.max_bytes = 1_000), []);
    }

    #[test]
    fn parts_of_an_object_share_a_subject() {
        let of_objects = [Purpose::LargeSnapshots, Purpose::Objects];
        assert_eq!(refused(|it| it.max_messages_per_subject = 5), of_objects);
    }

    #[test]
    fn the_message_names_the_setting_and_what_to_do() {
        let mut config = Layout::KeyValue.config("b", 1);
        config.max_age = Duration::from_secs(60);
        assert_eq!(
            Purpose::Checkpoints.refusal("b", &config).unwrap(),
            "`max_age` is 60s, and what was kept would be dropped by age: let an operator change it, or use another \
             bucket"
        );
    }
}
