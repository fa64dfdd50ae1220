//! The least that a Pingora proxy can do: name the upstream and let everything pass. What the gateway costs is
//! measured against this.
//!
//!     bare-pingora LISTEN UPSTREAM

use async_trait::async_trait;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;
use std::net::SocketAddr;
use torouter_bench::flags::refuse;

/// As many idle upstream connections as the gateway keeps: a smaller pool would make the yardstick dial anew.
const KEEPALIVE_POOL: usize = 1024;

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = args.as_slice() else {
        refuse("usage: bare-pingora LISTEN UPSTREAM");
    };
    let Ok(upstream) = upstream.parse() else {
        refuse(&format!(
            "UPSTREAM must be an address and a port, not {upstream:?}"
        ));
    };
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: KEEPALIVE_POOL,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Bare { upstream });
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.run_forever();
}
