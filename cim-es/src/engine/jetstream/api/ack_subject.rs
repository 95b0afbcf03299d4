//! The subject on which a consumer's message is acknowledged, which says where the message stands.

/// Where a delivered message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckSubject {
    /// How many times the message was delivered, this time included.
    pub(crate) delivered: u32,
    /// Its sequence in the stream.
    pub(crate) stream: u64,
    /// Its sequence among what the consumer delivered.
    pub(crate) consumer: u64,
    /// How many more messages the consumer has; none where the server does not say.
    pub(crate) pending: Option<u64>,
}

impl AckSubject {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, or with domain
    /// and account hash before the stream and a token behind.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        let before = match reply.bytes().filter(|byte| *byte == b'.').count() + 1 {
            9 => 4,
            11.. => 6,
            _ => return None,
        };
        let mut tokens = reply.split('.').skip(before);
        Some(Self {
            delivered: tokens.next()?.parse().ok()?,
            stream: tokens.next()?.parse().ok()?,
            consumer: tokens.next()?.parse().ok()?,
            // Behind the time.
            pending: tokens.nth(1).and_then(|pending| pending.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AckSubject;

    #[test]
    fn a_message_stands_where_its_ack_subject_says_with_and_without_a_domain() {
        let place = AckSubject {
            delivered: 2,
            stream: 17,
            consumer: 9,
            pending: Some(4),
        };
        for reply in [
            "$JS.ACK.EVENTS.group.2.17.9.1790000000000000000.4",
            "$JS.ACK.hub.AbC123.EVENTS.group.2.17.9.1790000000000000000.4.x",
        ] {
            assert_eq!(AckSubject::parse(reply), Some(place), "{reply}");
        }
        for reply in [
            "",
            "_INBOX.a.b",
            "$JS.ACK.EVENTS.group.2.17.9.1790000000000000000",
            "$JS.ACK.EVENTS.group.two.17.9.1790000000000000000.4",
        ] {
            assert_eq!(AckSubject::parse(reply), None, "{reply}");
        }
    }
}
