//! `torouter`, an LLM API gateway: one host, one key, every model. `ARCHITECTURE.md` is the map.

mod admin;
mod base;
mod cli;
mod config;
mod dialect;
mod gate;
mod meter;
mod platform;
mod proxy;
mod route;
mod simulate;
mod wire;
mod world;

/// glibc's allocator grows from load to load under this pattern of use; this one does not.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
