//! The upstream's answer: taken, judged, passed on, or a reason to move on.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::attempt::{Again, Answer, Attempt, MAX_REFUSAL, fault_of, outcome_of, timeout_fault};
use super::exchange::Exchange;
use super::judge::{Judge, Verdict, is_expected_type};
use super::kept;
use super::replay::NO_ANSWER;
use crate::base::{Fault, FaultKind, Outcome};
use crate::dialect::answering::Unusable;
use crate::dialect::{Expect, UpstreamError};
use crate::platform::{reset, scrub};

/// An attempt has failed and said so; the error only carries whether to go on.
const ATTEMPT_FAILED: ErrorType = ErrorType::Custom("the attempt failed");

/// How long the body of a refusal may take: it holds up the next attempt.
const REFUSAL_TIME: Duration = Duration::from_secs(3);

/// Ends the attempt as a failure. The error says whether another one follows.
pub fn fail(
    x: &mut Exchange,
    outcome: Outcome,
    mut fault: Fault,
    wait: Option<Duration>,
) -> Box<Error> {
    x.end_attempt(outcome, wait);
    if matches!(fault.status, 429 | 503 | 529) && fault.retry_after.is_none() {
        let ready_in = x
            .attempt
            .as_ref()
            .map_or(Duration::ZERO, |a| a.channel.ready_in(Instant::now()));
        fault.retry_after = Some(ready_in.max(Duration::from_secs(1)));
    }
    x.failure = Some(fault);
    let mut error = Error::new_up(ATTEMPT_FAILED);
    error.set_retry(has_next(x));
    error
}

fn has_next(x: &Exchange) -> bool {
    let (Some(asked), Some(key)) = (&x.asked, &x.key) else {
        return false;
    };
    let model = (!asked.target.is_empty()).then_some(asked.target.as_str());
    x.world.groups[key.group].has_next(&x.plan, asked.operation, model, Instant::now())
}

fn bad_response(x: &mut Exchange, what: &'static str) -> Box<Error> {
    let fault = Fault::new(
        FaultKind::UpstreamError,
        format!("The provider's answer was not usable: {what}."),
    );
    fail(x, Outcome::BadResponse, fault, None)
}

/// Looks at status and type.
pub fn receive_head(x: &mut Exchange, head: &ResponseHeader) -> Result<()> {
    let now = Instant::now();
    let (Some(asked), Some(attempt), Some(latch)) = (&x.asked, &mut x.attempt, &x.latch) else {
        return Error::err(ErrorType::InternalError);
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    attempt.upstream_request_id = head
        .headers
        .get(attempt.channel.config.platform.request_id_header)
        .cloned();
    let status = head.status.as_u16();
    if head.status.is_success() {
        let encoded = text("content-encoding").is_some_and(|encoding| encoding != "identity");
        let unreadable = encoded || head.status == http::StatusCode::NO_CONTENT;
        if unreadable && attempt.translation.is_some() {
            return Err(bad_response(x, "it cannot be read"));
        }
        if unreadable {
            // It was asked not to encode: what cannot be read can only be passed.
            attempt.relay = None;
            attempt.answer = Answer::Passing;
            latch.commit(None);
        } else if is_expected_type(attempt.expect, text("content-type")) {
            let is_json = is_expected_type(Expect::Json, text("content-type"));
            let expect = match attempt.expect {
                // Where anything may come, JSON may be an error.
                Expect::Any if is_json && text("content-type").is_some() => Expect::Json,
                expect => expect,
            };
            let dialect = attempt.operation.dialect();
            let judge = if attempt.translation.is_some() {
                Judge::keeping(dialect, expect, x.world.config.server.body_limit)
            } else {
                Judge::new(dialect, expect)
            };
            attempt.answer = Answer::Judging(Box::new(judge));
            if asked.expect == Expect::Sse {
                latch.set_heartbeat(x.world.config.server.heartbeat);
            }
            if attempt.translation.is_none() {
                kept::answer_begins(x);
            }
        } else {
            return Err(bad_response(
                x,
                "its content type is not what was asked for",
            ));
        }
    } else if head.status.is_redirection() {
        return Err(bad_response(x, "it is a redirect"));
    } else {
        latch.hurry(REFUSAL_TIME);
        attempt.answer = Answer::Refused {
            status,
            wait: reset::retry_after(&head.headers, SystemTime::now()),
            body: Vec::new(),
        };
    }
    if let Some(own) = &mut x.own_time {
        *own += now.elapsed();
    }
    Ok(())
}

pub fn receive_body(x: &mut Exchange, body: &mut Option<Bytes>, end: bool) -> Result<()> {
    let Some(attempt) = &mut x.attempt else {
        return Ok(());
    };
    // The tap sees the bytes as they came, also those of an answer that turns out to be none.
    if let (Some(chunk), true) = (body.as_ref(), attempt.has_answer()) {
        attempt.tap.feed(chunk);
    }
    match &mut attempt.answer {
        Answer::Waiting => Ok(()),
        Answer::Refused { body: gathered, .. } => {
            if let Some(chunk) = body.take() {
                let room = MAX_REFUSAL - gathered.len();
                gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            if end { refused(x, body) } else { Ok(()) }
        }
        Answer::Judging(judge) => {
            let committed = x.latch.as_ref().is_some_and(|latch| latch.is_committed());
            let verdict = if committed {
                // The time for it was up.
                Verdict::Stands
            } else {
                judge.read(body.as_ref(), end)
            };
            let kept = judge.take_whole(end);
            judged(x, verdict)?;
            match kept {
                Some(kept) => translate_whole(x, &kept, body),
                None => {
                    pass(x, body, end);
                    Ok(())
                }
            }
        }
        Answer::Passing => {
            pass(x, body, end);
            Ok(())
        }
    }
}

fn judged(x: &mut Exchange, verdict: Verdict) -> Result<()> {
    let (Some(attempt), Some(latch)) = (&mut x.attempt, &x.latch) else {
        return Ok(());
    };
    match verdict {
        Verdict::Hold { begun } => {
            if begun {
                latch.commit_within(x.world.config.server.commit_after);
            }
            Ok(())
        }
        Verdict::Stands => {
            attempt.answer = Answer::Passing;
            attempt.body = Bytes::new();
            // A whole answer is committed when it is translated: its length must be known.
            if attempt.translation.is_none() || attempt.expect == Expect::Sse {
                latch.commit(None);
            }
            let passes = attempt.translation.is_none();
            x.first_output = Some(Instant::now());
            if passes {
                kept::answer_stands(x);
            }
            Ok(())
        }
        // The client's own fault passes as the provider wrote it.
        Verdict::Fault(error) if error.is_clients_fault() && attempt.translation.is_none() => {
            judged(x, Verdict::Stands)
        }
        Verdict::Fault(error) if error.is_clients_fault() => {
            let credential = credential_of(attempt);
            Err(tell(x, outcome_of(&error), &error, &credential))
        }
        Verdict::Fault(error) => {
            let outcome = Outcome::BadResponse;
            let credential = credential_of(attempt);
            // Which fault it is depends on what the provider meant; it counts as a bad response.
            let fault = fault_of(outcome_of(&error), &error, error.retry_after, &credential);
            Err(fail(x, outcome, fault, error.retry_after))
        }
        Verdict::Bad(what) => Err(bad_response(x, what)),
    }
}

fn credential_of(attempt: &Attempt) -> String {
    attempt
        .channel
        .config
        .api_key
        .as_ref()
        .map_or_else(String::new, |key| key.expose().to_owned())
}

/// The client gets whole events.
fn pass(x: &mut Exchange, body: &mut Option<Bytes>, end: bool) {
    let Some(attempt) = &mut x.attempt else {
        return;
    };
    if attempt.translation.is_none() {
        kept::passes(x, body.as_deref().unwrap_or_default(), end);
    }
    let Some(attempt) = &mut x.attempt else {
        return;
    };
    if let Some(translation) = &mut attempt.translation {
        let chunk = body.take().unwrap_or_default();
        let mut out = Vec::with_capacity(chunk.len() + 256);
        let broken = translation.answering.feed(&chunk, end, &mut out);
        if let Some(error) = broken {
            let credential = credential_of(attempt);
            let fault = fault_of(outcome_of(&error), &error, error.retry_after, &credential);
            let is_array = x
                .asked
                .as_ref()
                .is_some_and(|asked| asked.expect == Expect::JsonArray);
            if is_array {
                // What stands open is one array.
                out.extend_from_slice(b",\r\n");
                out.extend_from_slice(&x.surface.error_body(&fault, &x.request_id));
                out.push(b']');
            } else if let Some(translation) = &mut attempt.translation {
                let answering = &mut translation.answering;
                answering.break_off(&fault, &x.request_id, &mut out);
            }
            x.error = Some("upstream_died");
            x.end_attempt(Outcome::BadResponse, error.retry_after);
        }
        *body = (!out.is_empty()).then(|| out.into());
        if let Some(latch) = &x.latch {
            latch.at_boundary.store(true, Relaxed);
        }
        kept::answer_ends(x, None);
    } else if let Some(relay) = &mut attempt.relay {
        *body = relay.pass(body.take(), end);
        if let Some(latch) = &x.latch {
            latch.at_boundary.store(relay.at_boundary, Relaxed);
        }
    }
    let Some(attempt) = &mut x.attempt else {
        return;
    };
    if end && attempt.has_answer() {
        x.end_attempt(Outcome::Ok, None);
    }
}

/// A whole answer, good as far as it was judged, becomes the client's.
fn translate_whole(x: &mut Exchange, kept: &[u8], body: &mut Option<Bytes>) -> Result<()> {
    let Some(attempt) = &mut x.attempt else {
        return Ok(());
    };
    let Some(translation) = &mut attempt.translation else {
        return Ok(());
    };
    match translation.answering.whole(kept) {
        Ok(out) => {
            if let Some(latch) = &x.latch {
                latch.commit(Some(out.len()));
            }
            kept::answer_ends(x, Some(&out));
            *body = Some(out.into());
            x.end_attempt(Outcome::Ok, None);
            Ok(())
        }
        Err(Unusable::Error(error)) => judged(x, Verdict::Fault(error)),
        Err(Unusable::Garbage) => Err(bad_response(x, "it is not of the protocol")),
        Err(Unusable::Refusal(fault)) => {
            x.end_attempt(Outcome::Ok, None);
            x.refused = Some(fault);
            Err(Error::new_up(ATTEMPT_FAILED))
        }
    }
}

/// The client's own fault, told in its own protocol: what the provider said, with its status.
fn tell(x: &mut Exchange, outcome: Outcome, error: &UpstreamError, credential: &str) -> Box<Error> {
    x.end_attempt(outcome, None);
    let message = scrub::scrub(&error.message, credential);
    let mut fault = Fault::new(FaultKind::InvalidRequest, message.into_owned());
    fault.status = error.status;
    fault.upstream_type.clone_from(&error.kind);
    x.refused = Some(fault);
    Error::new_up(ATTEMPT_FAILED)
}

/// A refusal is whole: the client's fault goes back as it is, another makes the next attempt.
fn refused(x: &mut Exchange, body: &mut Option<Bytes>) -> Result<()> {
    let Some(refusal) = read_refusal(x) else {
        return Ok(());
    };
    if refusal.outcome != Outcome::Status4xx {
        return Err(refusal.fail(x));
    }
    if x.attempt.as_ref().is_some_and(|a| a.translation.is_some()) {
        return Err(tell(
            x,
            refusal.outcome,
            &refusal.error,
            &refusal.credential,
        ));
    }
    if refusal.text.is_empty() || refusal.text.len() >= MAX_REFUSAL {
        return Err(refusal.tell(x));
    }
    x.end_attempt(refusal.outcome, None);
    x.error = Some("upstream_refused");
    let clean = match std::str::from_utf8(&refusal.text) {
        Ok(text) => Bytes::from(scrub::scrub(text, &refusal.credential).into_owned()),
        Err(_) => Bytes::from(refusal.text),
    };
    if let Some(latch) = &x.latch {
        latch.commit(Some(clean.len()));
    }
    *body = Some(clean);
    Ok(())
}

/// A refusal, read.
struct Refusal {
    error: UpstreamError,
    text: Vec<u8>,
    wait: Option<Duration>,
    outcome: Outcome,
    credential: String,
}

impl Refusal {
    /// Another channel may do better.
    fn fail(self, x: &mut Exchange) -> Box<Error> {
        let fault = fault_of(self.outcome, &self.error, self.wait, &self.credential);
        fail(x, self.outcome, fault, self.wait)
    }

    /// The client's fault, of which there is no body, half of one, or too much: told in our own words.
    fn tell(self, x: &mut Exchange) -> Box<Error> {
        x.end_attempt(self.outcome, None);
        let message = scrub::scrub(&self.error.message, &self.credential);
        let message = format!("The provider refused the request: {message}");
        let mut fault = Fault::new(FaultKind::InvalidRequest, message);
        fault.status = self.error.status;
        x.refused = Some(fault);
        Error::new_up(ATTEMPT_FAILED)
    }
}

fn read_refusal(x: &mut Exchange) -> Option<Refusal> {
    let attempt = x.attempt.as_mut()?;
    let dialect = attempt.operation.dialect();
    let credential = credential_of(attempt);
    let Answer::Refused { status, wait, body } = &mut attempt.answer else {
        return None;
    };
    let text = std::mem::take(body);
    let error = dialect.read_error(*status, &text);
    Some(Refusal {
        outcome: outcome_of(&error),
        wait: wait.or(error.retry_after),
        error,
        text,
        credential,
    })
}

pub fn broken(x: &mut Exchange, mut error: Box<Error>, reused: bool) -> Box<Error> {
    if *error.etype() == ATTEMPT_FAILED {
        return error;
    }
    let expired = x.latch.as_ref().and_then(|latch| latch.expired());
    let committed = x.is_committed();
    if expired.is_none() && *error.esource() == ErrorSource::Downstream {
        x.client_left = true;
        error.set_retry(false);
        return error;
    }
    let Some(attempt) = &mut x.attempt else {
        return error;
    };
    let waiting = matches!(attempt.answer, Answer::Waiting);
    if waiting && expired.is_none() && reused && attempt.again != Some(Again::Fresh) {
        attempt.again = Some(Again::Fresh);
        error.set_retry(true);
        return error;
    }
    if let (Answer::Refused { .. }, false) = (&attempt.answer, committed)
        && let Some(refusal) = read_refusal(x)
    {
        // Of the body there is nothing, or a part.
        return match refusal.outcome {
            Outcome::Status4xx => refusal.tell(x),
            _ => refusal.fail(x),
        };
    }
    let (outcome, fault) = match (expired, error.etype()) {
        (Some(_), _) | (None, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            (Outcome::Timeout, timeout_fault())
        }
        (None, kind) if *kind == NO_ANSWER => (
            Outcome::BadResponse,
            Fault::new(FaultKind::UpstreamError, "The provider's answer was empty."),
        ),
        (None, ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2) => (
            Outcome::BadResponse,
            Fault::new(
                FaultKind::UpstreamError,
                "The provider's answer was not valid HTTP.",
            ),
        ),
        (None, _) => (
            Outcome::Reset,
            Fault::new(
                FaultKind::UpstreamError,
                "The provider closed the connection before its answer was whole.",
            ),
        ),
    };
    let mut failed = fail(x, outcome, fault, None);
    if committed {
        x.error = Some("upstream_died");
        failed.set_retry(false);
    }
    failed
}

/// The upstream died after the commit: the client must be able to tell.
pub async fn end_stream(session: &mut Session, x: &mut Exchange) -> Result<()> {
    let (Some(asked), Some(attempt)) = (&x.asked, &x.attempt) else {
        return Ok(());
    };
    let told = attempt
        .translation
        .as_ref()
        .is_some_and(|translation| translation.answering.has_failed());
    if told {
        // The provider's own error has been passed on: nothing but the end is missing.
        return session.write_response_body(Some(Bytes::new()), true).await;
    }
    let at_boundary = attempt.at_boundary();
    let is_stream = asked.expect == Expect::Sse && at_boundary;
    let (true, Some(fault)) = (is_stream, &x.failure) else {
        // A message that is not ended tells by itself.
        return Ok(());
    };
    let event = match x.attempt.as_mut().and_then(|a| a.translation.as_mut()) {
        Some(translation) => {
            let mut out = Vec::new();
            translation
                .answering
                .break_off(fault, &x.request_id, &mut out);
            kept::answer_ends(x, None);
            out.into()
        }
        None => asked.operation.error_event(fault, &x.request_id),
    };
    x.response_bytes += event.len() as u64;
    session.write_response_body(Some(event), true).await
}
