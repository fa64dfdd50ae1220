//! Errors as each provider writes them, and the headers that come with every answer.
//!
//! Owns: status to type, code and details; the error events of streams; request ids and rate-limit headers.

use super::exchange::{Event, Problem, Reply, Voice};
use super::fault::Steer;
use super::json::{Json, obj};
use super::sign;

/// The problem that a status stands for, in words close to the provider's.
pub(super) fn problem(status: u16, steer: &Steer) -> Problem {
    let mut problem = match status {
        400 => Problem::bad("The request was malformed (simulated)."),
        401 => Problem::new(401, "Incorrect API key provided (simulated)."),
        402 => Problem::new(402, "Insufficient credits (simulated)."),
        403 => Problem::new(
            403,
            "Your credential may not use this resource (simulated).",
        ),
        404 => Problem::new(404, "The requested resource was not found (simulated)."),
        408 => Problem::new(408, "The request timed out (simulated)."),
        413 => Problem::new(
            413,
            "The request exceeds the maximum allowed number of bytes (simulated).",
        ),
        429 => Problem::new(429, "Rate limit reached, please retry later (simulated)."),
        500 => Problem::new(
            500,
            "The server had an error while processing your request (simulated).",
        ),
        503 => Problem::new(
            503,
            "The model is overloaded, please try again later (simulated).",
        ),
        529 => Problem::new(529, "Overloaded"),
        other => Problem::new(other, format!("Simulated error {other}.")),
    };
    problem.retry_after = steer.retry_after.clone();
    problem
}

/// What a provider says to a credential that it does not know. Gemini's is a 400.
pub(super) fn bad_key(voice: Voice) -> Problem {
    match voice {
        Voice::Gemini => {
            let mut problem = Problem::bad("API key not valid. Please pass a valid API key.");
            problem.bad_key = true;
            problem
        }
        Voice::Anthropic => Problem::new(401, "invalid x-api-key"),
        Voice::OpenRouter | Voice::RouterResponses => Problem::new(401, "User not found."),
        Voice::OpenAi | Voice::Responses => Problem::new(401, "Incorrect API key provided."),
    }
}

/// What a provider says when no credential came.
pub(super) fn no_key(voice: Voice) -> Problem {
    match voice {
        Voice::Gemini => Problem::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        ),
        Voice::Anthropic => Problem::new(401, "x-api-key header is required"),
        Voice::OpenRouter | Voice::RouterResponses => Problem::new(401, "No auth credentials found"),
        Voice::OpenAi | Voice::Responses => {
            Problem::new(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.")
                .kind("invalid_request_error")
        }
    }
}

/// An error as the provider answers it: status, headers, body.
pub(super) fn refusal(voice: Voice, problem: &Problem) -> Reply {
    let request_id = request_id(voice);
    let mut reply = Reply::json(&body(voice, problem, &request_id));
    reply.status = problem.status;
    reply.headers = headers(voice, &request_id, problem.status == 429);
    if let Some(seconds) = &problem.retry_after {
        reply = reply.header("retry-after", seconds.clone());
    }
    if voice == Voice::Anthropic {
        let again = matches!(problem.status, 408 | 409 | 429) || problem.status >= 500;
        reply = reply.header("x-should-retry", if again { "true" } else { "false" });
    }
    reply
}

/// The JSON body of an error.
pub(super) fn body(voice: Voice, problem: &Problem, request_id: &str) -> Json {
    match voice {
        Voice::OpenAi | Voice::Responses => obj! { "error": openai_error(problem) },
        Voice::Anthropic => obj! {
            "type": "error",
            "error": anthropic_error(problem),
            "request_id": request_id,
        },
        Voice::Gemini => obj! { "error": gemini_error(problem) },
        Voice::OpenRouter | Voice::RouterResponses => obj! { "error": router_error(problem) },
    }
}

fn openai_error(problem: &Problem) -> Json {
    let (kind, code) = match problem.status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        429 => ("tokens", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    obj! {
        "message": &problem.message,
        "type": problem.kind.unwrap_or(kind),
        "param": problem.param.as_ref(),
        "code": problem.code.or(code),
    }
}

fn anthropic_error(problem: &Problem) -> Json {
    let (kind, message) = (anthropic_kind(problem), &problem.message);
    match problem.code {
        Some(code) => {
            obj! { "type": kind, "message": message, "details": obj! { "error_code": code } }
        }
        None => obj! { "type": kind, "message": message },
    }
}

fn anthropic_kind(problem: &Problem) -> &'static str {
    problem.kind.unwrap_or(match problem.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    })
}

fn gemini_error(problem: &Problem) -> Json {
    let status = match problem.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    };
    let mut error = obj! { "code": problem.status, "message": &problem.message, "status": status };
    if problem.bad_key {
        error.push(
            "details",
            vec![
                obj! {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": obj! { "service": "generativelanguage.googleapis.com" },
                },
                obj! {
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": &problem.message,
                },
            ],
        );
    } else if problem.status == 429 {
        let seconds = problem.retry_after.as_deref().unwrap_or("1");
        error.push("details", vec![
            obj! {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": vec![obj! {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                }],
            },
            obj! {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{seconds}s"),
            },
        ]);
    }
    error
}

fn router_error(problem: &Problem) -> Json {
    let mut error = obj! { "message": &problem.message, "code": problem.status };
    if problem.status == 429 || problem.status >= 500 {
        error.push(
            "metadata",
            obj! { "provider_name": "Simulator", "raw": &problem.message },
        );
    }
    error
}

/// The events by which a stream of this dialect says that it failed. `before` are the events already sent.
pub(super) fn error_events(voice: Voice, before: &[Event]) -> Vec<Event> {
    let problem = match voice {
        Voice::Anthropic => Problem::new(529, "Overloaded"),
        Voice::Gemini => Problem::new(503, "The model is overloaded. Please try again later."),
        _ => Problem::new(
            500,
            "The server had an error while processing your request (simulated).",
        ),
    };
    match voice {
        Voice::OpenAi => vec![Event::data(&body(voice, &problem, "")), Event::done()],
        Voice::Anthropic => vec![Event::named(
            "error",
            &body(voice, &problem, &request_id(voice)),
        )],
        Voice::Gemini => vec![Event::data(&body(voice, &problem, ""))],
        Voice::OpenRouter => {
            let chunk = obj! {
                "id": sign::id("gen-", 20),
                "object": "chat.completion.chunk",
                "created": sign::now_s(),
                "model": "unknown",
                "provider": "Simulator",
                "error": obj! { "code": 502, "message": "Provider disconnected unexpectedly (simulated)." },
                "choices": vec![obj! {
                    "index": 0,
                    "delta": obj! { "content": "" },
                    "finish_reason": "error",
                    "native_finish_reason": "error",
                }],
            };
            vec![Event::data(&chunk), Event::done()]
        }
        Voice::Responses | Voice::RouterResponses => responses_error_events(&problem, before),
    }
}

/// `error`, and `response.failed` when the response had been created.
fn responses_error_events(problem: &Problem, before: &[Event]) -> Vec<Event> {
    let error = obj! {
        "type": "error",
        "sequence_number": before.len(),
        "error": obj! {
            "type": "server_error",
            "code": "server_error",
            "message": &problem.message,
            "param": Json::Null,
        },
    };
    let mut events = vec![Event::named("error", &error)];
    let created = before
        .first()
        .and_then(|event| serde_json::from_str::<serde_json::Value>(&event.data).ok());
    if let Some(mut response) = created.and_then(|event| event.get("response").cloned()) {
        let error = obj! { "code": "server_error", "message": &problem.message };
        response["status"] = serde_json::Value::from("failed");
        response["error"] = error.value();
        let failed = obj! {
            "type": "response.failed",
            "sequence_number": before.len() + 1,
            "response": response,
        };
        events.push(Event::named("response.failed", &failed));
    }
    events
}

/// A fresh request id in the provider's form.
pub(super) fn request_id(voice: Voice) -> String {
    match voice {
        Voice::Anthropic => sign::id("req_011", 21),
        _ => sign::id("req_", 32).to_lowercase(),
    }
}

/// The headers that this provider puts on every answer.
pub(super) fn headers(voice: Voice, request_id: &str, limited: bool) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| out.push((name.to_owned(), value));
    match voice {
        Voice::OpenAi | Voice::Responses => {
            add("x-request-id", request_id.to_owned());
            add("openai-version", "2020-10-01".to_owned());
            add("openai-processing-ms", "1".to_owned());
            for (what, limit) in [("requests", 10_000_u64), ("tokens", 30_000_000)] {
                let left = if limited { 0 } else { limit - 1 };
                add(&format!("x-ratelimit-limit-{what}"), limit.to_string());
                add(&format!("x-ratelimit-remaining-{what}"), left.to_string());
                add(
                    &format!("x-ratelimit-reset-{what}"),
                    if limited { "1s" } else { "6ms" }.to_owned(),
                );
            }
        }
        Voice::Anthropic => {
            add("request-id", request_id.to_owned());
            let reset = sign::rfc3339(sign::now_s() + 1);
            let limits = [
                ("requests", 4_000_u64),
                ("input-tokens", 400_000),
                ("output-tokens", 80_000),
                ("tokens", 480_000),
            ];
            for (what, limit) in limits {
                let left = if limited { 0 } else { limit - 1 };
                add(
                    &format!("anthropic-ratelimit-{what}-limit"),
                    limit.to_string(),
                );
                add(
                    &format!("anthropic-ratelimit-{what}-remaining"),
                    left.to_string(),
                );
                add(&format!("anthropic-ratelimit-{what}-reset"), reset.clone());
            }
        }
        Voice::Gemini => {
            add("server-timing", "gfet4t7; dur=1".to_owned());
            add("vary", "Origin".to_owned());
        }
        Voice::OpenRouter | Voice::RouterResponses => add("x-generation-id", sign::id("gen-", 20)),
    }
    out
}
