//! The binary. What it does is in the library.

/// glibc's allocator grows from load to load under this pattern of use; this one does not.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    torouter::cli::main()
}
