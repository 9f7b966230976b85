//! What stays the same however a dialogue was cut into packets.

use mailcap::diagnostic::{Code, Diagnostic};
use mailcap::event::{Event, EventBody};

/// What an event tells, without frame, time and latency; `seq` shows as the order.
pub fn essence(event: &Event) -> Option<String> {
    Some(match &event.body {
        EventBody::Reply(reply) => {
            let mut reply = reply.clone();
            reply.latency = None;
            format!("{} {reply:?}", event.seq)
        }
        EventBody::Tls(tls) => {
            format!(
                "{} tls {:?} {:?} {:?} {:?} {}",
                event.seq, tls.suite, tls.decrypted, tls.secret, tls.reason, tls.records_decrypted
            )
        }
        EventBody::Session(s) => {
            format!(
                "session {:?} {:?} {:?} {:?} {} {} {:?} {:?} complete={} gaps={}",
                s.protocol,
                s.security,
                s.banner,
                s.user,
                s.commands,
                s.messages,
                s.bytes,
                s.outcome,
                s.complete,
                s.gap_count
            )
        }
        // Its detail says how long was waited.
        EventBody::Diagnostic(Diagnostic { code: Code::Unanswered, .. }) => format!("{} unanswered", event.seq),
        EventBody::MessageData(_) => return None,
        body => format!("{} {body:?}", event.seq),
    })
}
