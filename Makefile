# The two commands: `make run` starts the daemon, `make test` runs everything that CI runs.
# Build products go to a cache outside the clone, CARGO_TARGET_DIR if you set it (see scripts/env.sh).

.PHONY: help run build test nightly bench bench-api bench-engine bench-series conformance package package-test docs

help:
	@echo "make run          build and start the daemon with its embedded store (ARGS='--config FILE')"
	@echo "make test         everything that CI runs"
	@echo "make nightly      what takes too long for every change: more seeds, more kills, bent bytes, requests by rule"
	@echo "make bench        statsd lines beside the floor and other servers, then benches of functions (ARGS=SECONDS)"
	@echo "make bench-api    the API on a daemon of its own, with the aims beside (ARGS='RESOURCES METRICS GROUPED')"
	@echo "make bench-engine bytes at rest and written, cost of rollups and reads, with the aims beside (ARGS='write SERIES HOURS')"
	@echo "make bench-series what live series cost: memory, CPU, bytes, start (ARGS='SERIES SECONDS')"
	@echo "make build        build only"
	@echo "make conformance  the reference's HTTP tests against the daemon (ARGS='--only NAME -v')"
	@echo "make package      the Debian package, in the directory ARGS names"
	@echo "make package-test installs, upgrades and purges that package in a clean root; as root"
	@echo "make docs         rewrite docs/config.md from the comments in src/config"

run:
	@scripts/run $(ARGS)

build:
	@bash -c '. scripts/env.sh && scripts/system-packages build && scripts/ui && cargo build --release --workspace'

test:
	@scripts/test

nightly:
	@scripts/nightly

bench:
	@scripts/bench $(ARGS)

bench-engine:
	@scripts/bench-engine $(ARGS)

bench-series:
	@scripts/bench-series $(ARGS)

bench-api:
	@scripts/bench-api $(ARGS)

conformance: build
	@scripts/clients
	@scripts/conformance $(ARGS)

package: build
	@scripts/package $(or $(ARGS),/tmp/orzo-package)

package-test: build
	@scripts/package-test

docs:
	@bash -c '. scripts/env.sh && ORZO_WRITE_DOCS=1 cargo test --release --workspace the_reference_page'
