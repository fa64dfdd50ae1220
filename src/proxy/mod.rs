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
//! | `allowance` | what a request may use up, held to the limits of its key |
//! | `attempt` | one attempt on one channel: the request as this channel gets it, the answer as it comes |
//! | `heads` | the heads of requests and answers as they leave |
//! | `upstream` | the answer: taken, judged, passed on, or a reason to move on |
//! | `judge` | is a 200 an answer? |
//! | `relay` | what passes after the commit |
//! | `kept` | a turn of the Responses API: what it continues, and what is kept of it |
//! | `keeper` | who keeps it: the store, and what is under way here |
//! | `job` | a response that is made in the background |
//! | `stored`, `conversations` | what is kept, read, listed, changed and deleted |
//! | `fetch` | media by URL, where the operator allows it |
//! | `inner` | the gateway's requests of itself |
//! | `socket` | the Responses WebSocket |
//! | `answer` | the gateway's own answers: errors, models lists |

mod allowance;
mod answer;
mod attempt;
mod conversations;
mod exchange;
mod fetch;
mod front;
mod gateway;
mod heads;
mod inner;
mod intake;
mod job;
mod judge;
mod keeper;
mod kept;
mod latch;
mod relay;
mod replay;
mod socket;
mod stored;
mod upstream;

pub use exchange::requests_under_way;
pub use front::Front;
pub use gateway::Gateway;
pub use keeper::Keeper;
