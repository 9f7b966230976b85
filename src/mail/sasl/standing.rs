//! Who is logged in, as far as it was seen.

use super::{AuthOutcome, Exchange};
use crate::event::Text;
use crate::mail::{Context, Missing};
use crate::position::Span;

/// What the authentications of a session came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Who got in, and until then who tried last.
    pub(crate) user: Option<Text>,
    /// The server refused this user.
    refused_user: bool,
    /// Somebody got in.
    pub(crate) inside: bool,
    /// Somebody was refused, and nobody got in.
    pub(crate) refused: bool,
    /// Bytes of the client are missing since this user tried: another may have tried as well, and got in.
    others: bool,
    /// Whoever tried got in or not, and the dialogue has gone on.
    settled: bool,
}

impl Standing {
    /// An exchange is over: its event, and what it says of the session.
    pub(crate) fn over(&mut self, exchange: Exchange, outcome: AuthOutcome, span: Span, cx: &mut Context<'_>) {
        let torn = exchange.is_torn();
        let user = exchange.finish(outcome, span, cx.one_sided, cx.out);
        self.ended(user, outcome, torn);
    }

    /// An authentication ended; `torn` if lines of the client are missing since it began.
    pub(crate) fn ended(&mut self, tried: Option<Text>, outcome: AuthOutcome, torn: bool) {
        (self.others, self.settled) = (self.others && torn, false);
        if outcome == AuthOutcome::Success || tried.is_some() && !self.inside {
            self.user = tried;
            self.refused_user = outcome == AuthOutcome::Failure;
        }
        match outcome {
            AuthOutcome::Success => (self.inside, self.refused) = (true, false),
            AuthOutcome::Failure => self.refused = !self.inside,
            // Nobody refused it.
            AuthOutcome::Aborted | AuthOutcome::Unknown => {}
        }
    }

    /// Bytes of the client are missing, other than a packet's end, behind which no login of another's can be.
    pub(crate) fn loses_client(&mut self, missing: Missing) {
        self.others |= !self.settled && !missing.tail;
    }

    /// The server did what it does for its users alone: behind a refusal somebody got in, which was not captured.
    pub(crate) fn served(&mut self) {
        let refused = self.refused;
        self.goes_on();
        if refused {
            self.inside = true;
            self.user.take_if(|_| self.refused_user);
        }
    }

    /// The server did what it does for some without a login, too.
    pub(crate) fn goes_on(&mut self) {
        self.refused = false;
        let unknown = std::mem::take(&mut self.others) && !self.inside;
        self.user.take_if(|_| unknown);
        self.settled = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthOutcome::{Failure, Success, Unknown};

    fn user(steps: &[&dyn Fn(&mut Standing)]) -> Option<String> {
        let mut standing = Standing::default();
        steps.iter().for_each(|step| step(&mut standing));
        standing.user.map(|user| user.to_str_lossy().into_owned())
    }

    fn tries(who: &'static str, outcome: AuthOutcome, torn: bool) -> impl Fn(&mut Standing) {
        move |standing| standing.ended(Some(who.into()), outcome, torn)
    }

    fn loses(tail: bool) -> impl Fn(&mut Standing) {
        move |standing| standing.loses_client(Missing { len: 40, tail, span: Span::default() })
    }

    #[test]
    fn who_got_in_is_not_known_where_another_may_have_tried() {
        let bob = Some("bob".to_owned());
        let unknown = |torn: bool| tries("bob", Unknown, torn);
        let served: [&dyn Fn(&mut Standing); 2] = [&Standing::served, &Standing::goes_on];
        for go_on in served {
            assert_eq!(user(&[&unknown(false), go_on]), bob);
            assert_eq!(user(&[&loses(false), &unknown(true), go_on]), None);
            assert_eq!(user(&[&unknown(false), &loses(false), go_on]), None);
            assert_eq!(user(&[&tries("bob", Success, false), &loses(false), go_on]), bob);
            // What is missing later, or before, was no login of another's.
            assert_eq!(user(&[&unknown(false), go_on, &loses(false), go_on]), bob);
            assert_eq!(user(&[&loses(false), &unknown(false), go_on]), bob);
            // And nor was what a snapshot length cuts.
            assert_eq!(user(&[&loses(true), &unknown(true), &loses(true), go_on]), bob);
        }
        // MAIL may be taken from anybody.
        assert_eq!(user(&[&tries("bob", Failure, false), &Standing::goes_on]), bob);
        assert_eq!(user(&[&tries("bob", Failure, false), &Standing::served]), None);
        // Until then it is who tried last.
        assert_eq!(user(&[&loses(false), &tries("bob", Failure, true), &loses(false)]), bob);
    }
}
