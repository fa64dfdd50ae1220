//! A channel at run time: what it serves, and whether it may be used now. All state is atomic: the hot
//! path takes no lock.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::HttpPeer;
use tokio::sync::watch;

use crate::base::clock::steady_ms;
use crate::base::{Outcome, glob};
use crate::config;
use crate::dialect::Operation;
use crate::platform::models::is_thinking_id;
use crate::platform::reset::LONGEST;

/// Longest cool-down of our own making; a provider may ask for longer.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(300);
const LONGEST_TRANSPORT_COOL_DOWN: Duration = Duration::from_secs(60);
/// Streams on one h2 connection to a provider: what common servers allow.
const H2_STREAMS: usize = 100;

pub struct Channel {
    /// Index among the channels of this config: stands for the name in caches.
    pub id: u32,
    pub name: Arc<str>,
    pub config: config::Channel,
    /// The credential as its header carries it, and that header's name.
    pub credential: Option<(http::HeaderName, http::HeaderValue)>,
    pub host: http::HeaderValue,
    /// The name, for the answer's head.
    pub name_header: http::HeaderValue,
    peer: HttpPeer,
    /// Addresses that may be connected to, as discovery and probes last saw them.
    addresses: ArcSwap<Vec<SocketAddr>>,
    next_address: AtomicUsize,
    /// The host has been looked up, whatever came of it.
    looked_up: watch::Sender<bool>,
    probed_up: AtomicBool,
    /// Refused for its credential: out until a probe with the credential succeeds.
    barred: AtomicBool,
    cool_until_ms: AtomicU64,
    strikes: AtomicU32,
    in_flight: AtomicU32,
}

/// A model as this channel knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    pub model: Cow<'a, str>,
    /// The client asked for reasoning by the model's name.
    pub reason: bool,
}

/// A place on a channel, given back on drop.
pub struct Claim(Arc<Channel>);

impl Claim {
    /// Takes a place; `None`: the channel is full. Exact, however many ask at once.
    pub fn take(channel: &Arc<Channel>) -> Option<Self> {
        let most = match channel.config.max_in_flight {
            0 => u32::MAX,
            most => most,
        };
        channel
            .in_flight
            .fetch_update(Relaxed, Relaxed, |n| (n < most).then_some(n + 1))
            .ok()
            .map(|_| Self(channel.clone()))
    }

    pub fn channel(&self) -> &Arc<Channel> {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Channel {
    pub fn new(id: u32, config: config::Channel) -> Self {
        let credential = config.api_key.as_ref().and_then(|key| {
            let (name, value) = match config.platform.auth {
                crate::platform::Auth::Bearer => (
                    http::header::AUTHORIZATION,
                    format!("Bearer {}", key.expose()),
                ),
                crate::platform::Auth::Header(name) => {
                    (http::HeaderName::from_static(name), key.expose().to_owned())
                }
            };
            let mut value = http::HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        // An address needs no looking up: it can be used at once.
        let literal = config.base.host.parse::<IpAddr>().ok();
        let literal = literal.map(|ip| SocketAddr::new(ip, config.base.port));
        let host = http::HeaderValue::try_from(config.base.authority.as_str())
            .unwrap_or_else(|_| http::HeaderValue::from_static("localhost"));
        // A name may hold what a header may not.
        let name_header = http::HeaderValue::try_from(config.name.as_str())
            .unwrap_or_else(|_| http::HeaderValue::from_static("unprintable"));
        Self {
            id,
            name_header,
            name: config.name.as_str().into(),
            credential,
            host,
            peer: peer(&config),
            looked_up: watch::Sender::new(literal.is_some()),
            addresses: ArcSwap::from_pointee(literal.into_iter().collect()),
            next_address: AtomicUsize::new(0),
            probed_up: AtomicBool::new(true),
            barred: AtomicBool::new(false),
            cool_until_ms: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            config,
        }
    }

    /// How this channel would call the model that is asked for; `None`: it does not serve it.
    pub fn route<'a>(&'a self, asked: &'a str) -> Option<Routed<'a>> {
        let platform = self.config.platform;
        let own = platform.strip_vendor(asked);
        let whole = |model: Cow<'a, str>| Routed {
            model,
            reason: false,
        };
        if let Some(mapped) = self.mapped(asked).or_else(|| self.mapped(own)) {
            return Some(whole(Cow::Borrowed(mapped)));
        }
        let named = self.config.models.iter().any(|m| m == asked || m == own);
        let is_id = |id| self.config.catalog.knows(id) || is_thinking_id(id);
        if named || is_id(asked) || is_id(own) {
            return self.serves(asked, own).then_some(whole(Cow::Borrowed(own)));
        }
        if let Some(base) = asked
            .strip_suffix("-thinking")
            .filter(|base| !base.is_empty())
        {
            return self.route(base).map(|routed| Routed {
                model: routed.model,
                reason: true,
            });
        }
        self.serves(asked, own).then_some(whole(Cow::Borrowed(own)))
    }

    fn mapped(&self, model: &str) -> Option<&str> {
        self.config
            .model_map
            .iter()
            .find(|(from, _)| from == model)
            .map(|(_, to)| to.as_str())
    }

    fn serves(&self, asked: &str, own: &str) -> bool {
        self.config
            .models
            .iter()
            .any(|pattern| glob::matches(pattern, own) || glob::matches(pattern, asked))
    }

    pub fn serves_operation(&self, operation: Operation) -> bool {
        let platform = self.config.platform;
        (platform.serves)(operation) || platform.counterpart(operation).is_some()
    }

    /// May it take a request now?
    pub fn is_ready(&self, now: Instant) -> bool {
        self.is_up()
            && steady_ms(now) >= self.cool_until_ms.load(Relaxed)
            && (self.config.max_in_flight == 0 || self.in_flight() < self.config.max_in_flight)
    }

    pub fn is_up(&self) -> bool {
        self.probed_up.load(Relaxed) && !self.barred.load(Relaxed)
    }

    pub fn is_barred(&self) -> bool {
        self.barred.load(Relaxed)
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// When it may be ready again, as far as that is known.
    pub fn ready_in(&self, now: Instant) -> Duration {
        let cooling = self
            .cool_until_ms
            .load(Relaxed)
            .saturating_sub(steady_ms(now));
        let probe = if self.is_up() {
            Duration::ZERO
        } else {
            self.config.health.interval
        };
        Duration::from_millis(cooling).max(probe)
    }

    /// Takes note of how an attempt that began at `started` ended. `wait` is what the provider asked for.
    pub fn report(&self, outcome: Outcome, wait: Option<Duration>, started: Instant, now: Instant) {
        let longest = match outcome {
            Outcome::Ok => {
                self.strikes.store(0, Relaxed);
                return;
            }
            // The client's fault says nothing about the channel.
            Outcome::Status4xx => return,
            Outcome::Auth => {
                self.barred.store(true, Relaxed);
                LONGEST_COOL_DOWN
            }
            Outcome::Connect | Outcome::Timeout | Outcome::Reset => LONGEST_TRANSPORT_COOL_DOWN,
            Outcome::Status5xx | Outcome::RateLimited | Outcome::BadResponse => LONGEST_COOL_DOWN,
        };
        let until = self.cool_until_ms.load(Relaxed);
        // Attempts that were under way together are one failure: only one begun after the last
        // cool-down doubles it.
        let strikes = if steady_ms(started) >= until {
            self.strikes.fetch_add(1, Relaxed)
        } else {
            self.strikes.load(Relaxed).saturating_sub(1)
        };
        let backoff = Duration::from_secs(1 << strikes.min(16)).min(longest);
        let cool = steady_ms(now) + wait.unwrap_or(backoff).min(LONGEST).as_millis() as u64;
        self.cool_until_ms.fetch_max(cool, Relaxed);
    }

    /// A probe has seen these addresses ready; none: the channel is down.
    pub fn set_addresses(&self, ready: Vec<SocketAddr>) {
        self.probed_up.store(!ready.is_empty(), Relaxed);
        if !ready.is_empty() && **self.addresses.load() != ready {
            self.addresses.store(Arc::new(ready));
        }
    }

    /// The host has been looked up for the first time: nobody need wait any longer.
    pub fn mark_looked_up(&self) {
        self.looked_up.send_replace(true);
    }

    /// Waits for the first look-up of the host's name: a request may come sooner after the start.
    pub async fn be_looked_up(&self) {
        if self.address_count() > 0 {
            return;
        }
        let mut looked_up = self.looked_up.subscribe();
        let wait = looked_up.wait_for(|done| *done);
        // Whoever waits in vain finds no address, and says so.
        let _ = tokio::time::timeout(self.config.timeouts.connect, wait).await;
    }

    /// A probe with the credential succeeded.
    pub fn unbar(&self) {
        if self.barred.swap(false, Relaxed) {
            self.cool_until_ms.store(0, Relaxed);
        }
    }

    /// The peer to connect to, at the next of its addresses; `None` while no name could be resolved.
    pub fn peer(&self) -> Option<Box<HttpPeer>> {
        let addresses = self.addresses.load();
        let turn = match addresses.len() {
            0 => return None,
            1 => 0,
            n => self.next_address.fetch_add(1, Relaxed) % n,
        };
        let mut peer = self.peer.clone();
        peer._address = addresses[turn].into();
        Some(Box::new(peer))
    }

    pub fn address_count(&self) -> usize {
        self.addresses.load().len()
    }

    /// Takes over what an earlier config's channel of the same name and account has learnt.
    pub fn inherit(&self, old: &Self) {
        let same = self.config.base == old.config.base && self.config.api_key == old.config.api_key;
        if same {
            self.addresses.store(old.addresses.load_full());
            self.looked_up.send_replace(*old.looked_up.borrow());
            self.probed_up.store(old.probed_up.load(Relaxed), Relaxed);
            self.barred.store(old.barred.load(Relaxed), Relaxed);
            self.strikes.store(old.strikes.load(Relaxed), Relaxed);
            self.cool_until_ms
                .store(old.cool_until_ms.load(Relaxed), Relaxed);
        }
    }
}

/// Everything of a peer but its address.
fn peer(config: &config::Channel) -> HttpPeer {
    let placeholder = SocketAddr::from(([127, 0, 0, 1], 1));
    let sni = if config.base.tls {
        config.base.host.clone()
    } else {
        String::new()
    };
    let mut peer = HttpPeer::new(placeholder, config.base.tls, sni);
    let timeouts = config.timeouts;
    peer.options.connection_timeout = Some(timeouts.connect);
    peer.options.total_connection_timeout = Some(timeouts.connect);
    // First byte, gaps and total are watched by the session: a timer a read would be one too many.
    peer.options.read_timeout = None;
    peer.options.write_timeout = Some(timeouts.idle);
    peer.options.idle_timeout = Some(Duration::from_secs(60));
    peer.options.max_h2_streams = H2_STREAMS;
    if config.base.tls {
        peer.options.alpn = ALPN::H2H1;
    }
    peer
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A channel out of a few lines of config.
    pub fn channel(lines: &str) -> Channel {
        let text = format!("[[channels]]\nname = \"c\"\n{lines}\n");
        let (config, report) = config::parse("t.toml", &text);
        let config = config.unwrap_or_else(|| panic!("{}", report.mistakes()));
        let channel = Channel::new(0, config.channels[0].clone());
        channel.set_addresses(vec![SocketAddr::from(([127, 0, 0, 1], 9))]);
        channel
    }

    #[test]
    fn an_id_of_the_catalogue_is_no_wish_to_think() {
        let file = std::env::temp_dir().join(format!("torouter-wish-{}.toml", std::process::id()));
        std::fs::write(&file, "[[models]]\nid = \"deep-thinking\"\n").expect("a file");
        let channel = channel(&format!(
            "platform = \"openai\"\n[catalog]\nmodels = {:?}",
            file.display().to_string()
        ));
        std::fs::remove_file(&file).expect("the file");
        for (asked, model, reason) in [
            ("deep-thinking", "deep-thinking", false),
            ("openai/deep-thinking", "deep-thinking", false),
            ("other-thinking", "other", true),
        ] {
            let routed = channel.route(asked).expect("served");
            assert_eq!((&*routed.model, routed.reason), (model, reason), "{asked}");
        }
    }

    #[test]
    fn models_are_mapped_stripped_and_told_to_think() {
        let openai = channel(
            "platform = \"openai\"\nmodels = [\"gpt-5*\", \"odd-thinking\"]\nmodel_map = { latest = \"gpt-5.2\" }",
        );
        let routed = |asked| {
            openai
                .route(asked)
                .map(|r| (r.model.into_owned(), r.reason))
        };
        assert_eq!(routed("gpt-5"), Some(("gpt-5".into(), false)));
        assert_eq!(routed("openai/gpt-5"), Some(("gpt-5".into(), false)));
        assert_eq!(routed("google/gpt-5"), None);
        assert_eq!(routed("latest"), Some(("gpt-5.2".into(), false)));
        assert_eq!(
            routed("openai/latest-thinking"),
            Some(("gpt-5.2".into(), true))
        );
        assert_eq!(
            routed("gpt-5-mini-thinking"),
            Some(("gpt-5-mini".into(), true))
        );
        assert_eq!(routed("odd-thinking"), Some(("odd-thinking".into(), false)));
        assert_eq!(routed("o3"), None);
        assert_eq!(routed("-thinking"), None);
        let openrouter = channel("platform = \"openrouter\"\nmodels = [\"*\"]");
        let kept = openrouter.route("openai/gpt-5").expect("served");
        assert_eq!(kept.model, "openai/gpt-5");
        let real = openrouter
            .route("moonshotai/kimi-k2-thinking")
            .expect("served");
        assert!(!real.reason);
    }

    #[test]
    fn a_refusal_cools_down_doubling_and_success_forgives() {
        let channel = channel("platform = \"openai\"");
        let start = Instant::now() + Duration::from_secs(1);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(channel.is_ready(at(0)));
        channel.report(Outcome::Status5xx, None, at(0), at(0));
        // One that was under way together does not double.
        channel.report(Outcome::Status5xx, None, at(0), at(1));
        assert!(!channel.is_ready(at(900)) && channel.is_ready(at(1002)));
        channel.report(Outcome::Status5xx, None, at(1002), at(1002));
        assert!(!channel.is_ready(at(2900)) && channel.is_ready(at(3003)));
        channel.report(
            Outcome::RateLimited,
            Some(Duration::from_secs(7)),
            at(3003),
            at(3003),
        );
        assert_eq!(channel.ready_in(at(3003)), Duration::from_secs(7));
        channel.report(Outcome::Ok, None, at(11_000), at(11_000));
        channel.report(Outcome::Reset, None, at(11_000), at(11_000));
        assert!(channel.is_ready(at(12_001)));
        channel.report(Outcome::Status4xx, None, at(12_001), at(12_001));
        assert!(channel.is_ready(at(12_001)));
    }

    #[test]
    fn a_wrong_credential_bars_until_a_probe_succeeds() {
        let channel = channel("platform = \"openai\"");
        let now = Instant::now();
        channel.report(Outcome::Auth, None, now, now);
        assert!(!channel.is_ready(now + Duration::from_secs(3600)));
        channel.unbar();
        assert!(channel.is_ready(now));
    }

    #[test]
    fn a_full_channel_is_not_ready() {
        let channel = Arc::new(channel("platform = \"openai\"\nmax_in_flight = 1"));
        let claim = Claim::take(&channel).expect("a place");
        assert!(Claim::take(&channel).is_none());
        assert!(!channel.is_ready(Instant::now()));
        drop(claim);
        assert!(channel.is_ready(Instant::now()));
    }
}
