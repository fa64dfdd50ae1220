//! Pingora: the hooks in phase order. Read `gateway.rs` from top to bottom for the story of a request;
//! the other files are its chapters.
//!
//! | file | what it holds |
//! |---|---|
//! | `front` | the connection: reads a request's head, wraps the session, takes it back for keep-alive |
//! | `replay` | the session between client and Pingora: holds the request for retries, the answer until it is committed, and the clock |
//! | `latch` | what session and exchange tell each other |
//! | `gateway` | the `ProxyHttp` hooks, in phase order |
//! | `exchange` | one request: what is known of it, and its settling, once |
//! | `intake` | endpoint, key, body, model: everything before a channel is chosen |
//! | `attempt` | one attempt on one channel: the request as this channel gets it, the answer as it comes |
//! | `heads` | the heads of requests and answers as they leave |
//! | `upstream` | the answer: taken, judged, passed on, or a reason to move on |
//! | `judge` | is a 200 an answer? |
//! | `relay` | what passes after the commit |
//! | `fetch` | media by URL, where the operator allows it |
//! | `inner` | the gateway's requests of itself |
//! | `answer` | the gateway's own answers: errors, models lists |

mod answer;
mod attempt;
mod exchange;
mod fetch;
mod front;
mod gateway;
mod heads;
mod inner;
mod intake;
mod judge;
mod latch;
mod relay;
mod replay;
mod upstream;

pub use exchange::requests_under_way;
pub use front::Front;
pub use gateway::Gateway;
