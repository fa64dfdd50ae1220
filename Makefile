# Two commands for a newcomer: `make demo` and `make test`. Each installs what is missing (Debian), builds and runs.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CARGO ?= cargo
FUZZ_SECONDS ?= 60

.PHONY: demo test lint unit sdk api fuzz bench bench-criterion setup setup-test install

demo: setup
	$(CARGO) build --release
	target/release/torouter demo

# One debug profile for everything; nextest where it is there.
test: setup-test lint unit sdk api

lint:
	$(CARGO) fmt --all --check
	RUSTFLAGS="-D warnings" $(CARGO) clippy --locked --all-targets

unit:
	RUSTFLAGS="-D warnings" $(CARGO) build --locked --all-targets
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		RUSTFLAGS="-D warnings" $(CARGO) nextest run --locked; \
	else \
		RUSTFLAGS="-D warnings" $(CARGO) test --locked; \
	fi

sdk:
	TOROUTER_BIN=target/debug/torouter tests/sdk/run.sh

# The admin API against its own document.
api:
	TOROUTER_BIN=target/debug/torouter tests/admin/schemathesis.sh

# What anything at all does to the readers; each target for so many seconds.
fuzz: setup
	CARGO=$(CARGO) fuzz/run.sh $(FUZZ_SECONDS)

# The whole gateway against bare Pingora, as ratios (six minutes).
bench: setup
	$(CARGO) build --release --locked
	$(CARGO) build --release --locked --manifest-path benches/gateway/Cargo.toml
	python3 benches/gateway/run.py --gateway target/release/torouter

# The hot path's parts.
bench-criterion: setup
	$(CARGO) bench --locked

# cmake builds Pingora's zlib.
setup:
	@command -v cmake >/dev/null && command -v cc >/dev/null && command -v make >/dev/null || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq cmake build-essential; }

# The tests start a PostgreSQL and a Redis of their own.
setup-test: setup
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq postgresql; }
	@command -v redis-server >/dev/null || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq redis-server; }

# On the machine that is to run it, as root.
install:
	install -D -m 755 target/release/torouter /usr/local/bin/torouter
	install -D -m 644 systemd/torouter.service /etc/systemd/system/torouter.service
	[ -e /etc/torouter/torouter.toml ] || install -D -m 640 conf/torouter.toml /etc/torouter/torouter.toml
