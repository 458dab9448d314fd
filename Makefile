# `make` lists what there is. Nothing here needs root, save what `make setup` finds missing in the system, and `make install`.

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CACHE := $(CURDIR)/.cache
PYTHON ?= python3

# Where `make install` puts things. DESTDIR is put before every path, for building a package.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR = $(DESTDIR)$(PREFIX)/bin
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
# The daemon looks for ONNX Runtime here, whatever the prefix.
LIBDIR = $(DESTDIR)/usr/lib/hyclus
# The directories all versions of systemd and udev read.
SYSUSERSDIR = $(DESTDIR)/usr/lib/sysusers.d
TMPFILESDIR = $(DESTDIR)/usr/lib/tmpfiles.d
SYSCTLDIR = $(DESTDIR)/usr/lib/sysctl.d
UDEVDIR = $(DESTDIR)/usr/lib/udev/rules.d
SHAREDIR = $(DESTDIR)$(PREFIX)/share/hyclus
CONFDIR = $(DESTDIR)$(SYSCONFDIR)/hyclus
MANDIR = $(DESTDIR)$(PREFIX)/share/man/man1
BASHDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISHDIR = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

export PYTHON
# Crates are downloaded by the setup and never later.
export CARGO_NET_OFFLINE := true

# What the demo and the tests find outside the crate. From 1.29 on, ONNX Runtime reports its use to its makers unless told not to.
RUN_ENV = ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$(CACHE)/python" HYCLUS_PYTHON="$(PYTHON)" HYCLUS_BIN="$(TARGET)/debug" \
	ORT_DYLIB_PATH="$(CACHE)/onnxruntime/libonnxruntime.so" HYCLUS_PROMTOOL="$(CACHE)/promtool/promtool" \
	HYCLUS_PROMETHEUS="$(CACHE)/prometheus/prometheus" HYCLUS_MINISIGN="$(CACHE)/minisign/minisign" \
	HYCLUS_FAKETIME="$(CACHE)/faketime/libfaketimeMT.so.1" \
	HYCLUS_FAKE_CAMERA="$(CACHE)/aravis/arv-fake-gv-camera-0.8" HYCLUS_NODE="$(CACHE)/node/bin/node"

# FEATURES=none builds without cameras on GigE Vision and USB3 Vision, and then without Aravis.
FEATURES ?=
export FEATURES
CARGO_FEATURES = $(if $(filter none,$(FEATURES)),--no-default-features)

.DEFAULT_GOAL := help
# Crates of other systems are not downloaded, so they cannot be looked at.
DENY_TARGET = --target "$$(rustc -vV | sed -n 's/^host: //p')"
# Where the recordings and the other pipeline of `make bench` are made from.
SHARED ?= ../shared

.PHONY: help setup build demo archive console encoder picture test effects bench lint deny fmt study binaries release release-test deb image deb-test service install console-web clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 18

setup: ## install what is missing: Debian packages, crates, and into .cache/ Python packages, ONNX Runtime, Prometheus, a camera
	@tests/setup.sh

build: ## build hyclusd, hyclus and hyclus-console (FEATURES=none: without Aravis)
	@tests/setup.sh system crates
	cargo build --workspace --bin hyclusd --bin hyclus --bin hyclus-console --locked $(CARGO_FEATURES)

demo: build ## run a simulated rig from scan to embeddings
	@tests/setup.sh python onnxruntime
	$(RUN_ENV) tests/demo.sh

console: ## start the simulated rig and its console, scan a tray, and print a link for a browser; Ctrl-C ends it
	@tests/setup.sh system crates onnxruntime
	cargo build --workspace --bin hyclusd --bin hyclus --bin hyclus-console --locked $(CARGO_FEATURES)
	$(RUN_ENV) tests/console.sh

study: ## scan, reduce, group and classify as config/study.toml says, into data/study/report/report.html
	@tests/setup.sh system crates onnxruntime
	cargo build --workspace --bin hyclusd --bin hyclus --bin hyclus-study --release --locked
	$(RUN_ENV) HYCLUS_BIN="$(TARGET)/release" "$(TARGET)/release/hyclus-study" report --config config/study.toml

encoder: build ## fit the encoder of the simulated rig again
	@tests/setup.sh python
	$(RUN_ENV) config/encoders/make.sh

archive: build ## scan on three simulated rigs, ship everything to one archive, and ask it one question
	@tests/setup.sh python onnxruntime
	cargo build --workspace --bin hyclus-ship --locked $(CARGO_FEATURES)
	$(RUN_ENV) HYCLUS_WEED="$(CACHE)/python/bin/weed" archive/demo.sh

picture: build ## draw the pictures of docs/images again, from scans of the demo's tray
	@tests/setup.sh python onnxruntime web browser
	$(RUN_ENV) docs/images/make.sh
	cd console/web && $(RUN_ENV) "$(CACHE)/node/bin/node" e2e/pictures.mjs "$(CURDIR)/docs/images"

# Most tests wait for belts and servers, so a small machine has time for more of them than it has cores.
test: export RUST_TEST_THREADS ?= $(shell cores=$$(nproc); echo $$((cores > 4 ? cores : 4)))
test: setup ## run all tests
	$(RUN_ENV) cargo test --workspace --locked --no-fail-fast $(CARGO_FEATURES)

service: binaries ## try the installed service under a systemd of its own (needs root; the system stays as it is)
	@tests/service.sh

console-web: ## build the page of the console again, into console/web/dist
	@tests/setup.sh web
	cd console/web && PATH="$(CACHE)/node/bin:$$PATH" node node_modules/vite/bin/vite.js build

effects: build ## put each error of a real rig into the simulated one, and show what is left of it in the results
	@tests/setup.sh python
	$(RUN_ENV) "$(PYTHON)" tests/effects.py "$(TARGET)/debug/hyclusd" "$(TARGET)/debug/hyclus" $(EFFECTS)

bench: binaries ## compare with a pipeline in Python, on two processors (SHARED=FOLDER, BENCH="--runs 5 --work DIR ...")
	@tests/setup.sh python
	$(RUN_ENV) "$(PYTHON)" tests/bench.py "$(SHARED)" --hyclus "$(TARGET)/release/hyclus" $(BENCH)

lint: ## check format, lints and documentation; warnings are errors
	@tests/setup.sh system crates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@tests/setup.sh web
	cd console/web && PATH="$(CACHE)/node/bin:$$PATH" node node_modules/svelte-check/bin/svelte-check --fail-on-warnings
	cd console/web && PATH="$(CACHE)/node/bin:$$PATH" node node_modules/vite/bin/vite.js build --outDir "$(CACHE)/console-web" --emptyOutDir --logLevel warn
	@diff -r "$(CACHE)/console-web" console/web/dist || { echo "console/web/dist is not what its sources give: run make console-web" >&2; exit 1; }

deny: ## check licences, duplicates and sources of crates, as deny.toml says
	@tests/setup.sh system crates deny
	"$(CACHE)/cargo-deny/cargo-deny" --locked $(DENY_TARGET) check bans
	"$(CACHE)/cargo-deny/cargo-deny" --locked $(DENY_TARGET) --workspace check licenses sources

fmt: ## format the sources
	cargo fmt --all

binaries: ## build optimised binaries, ready for make install
	@tests/setup.sh system crates onnxruntime
	cargo build --workspace --bin hyclusd --bin hyclus --bin hyclus-console --bin hyclus-ship --bin hyclus-manual --release --locked $(CARGO_FEATURES)

# Only what is said on the command line counts: an environment may have a VERSION of something else.
ifeq ($(origin VERSION),command line)
release:
	@TARGET="$(TARGET)" debian/release.sh "$(VERSION)"
else
release: binaries ## the same; with VERSION=x.y.z check and make that release: packages, SBOM, wheels and a tag (needs a network)
endif

release-test: setup
	$(RUN_ENV) cargo test --locked --test docs --test files --test formats --test architecture --no-fail-fast $(CARGO_FEATURES)

deb: binaries ## build the Debian packages and their SBOM, into target/deb
	@tests/setup.sh deb
	@TARGET="$(TARGET)" debian/build.sh

image: deb ## build a root file system for containers from the package, into target/deb
	@tests/setup.sh image
	@TARGET="$(TARGET)" debian/image.sh

deb-test: image ## install, use, upgrade, remove and purge the packages in a bare Debian 12 (needs root and a network)
	@tests/setup.sh debtest
	@TARGET="$(TARGET)" tests/deb.sh

install: ## install binaries, ONNX Runtime, units, manual pages and examples (after make release; PREFIX, DESTDIR)
	@test -x "$(TARGET)/release/hyclusd" -a -e "$(CACHE)/onnxruntime/libonnxruntime.so" || { echo "nothing to install yet: run make release first" >&2; exit 1; }
	install -D -m 755 -t "$(BINDIR)" "$(TARGET)/release/hyclusd" "$(TARGET)/release/hyclus" "$(TARGET)/release/hyclus-console" "$(TARGET)/release/hyclus-ship"
	install -D -m 644 -t "$(LIBDIR)" "$(CACHE)/onnxruntime/libonnxruntime.so"
	install -d "$(UNITDIR)" "$(CONFDIR)" "$(SHAREDIR)"
	for unit in hyclusd hyclus-console hyclus-ship; do \
		sed 's,=/usr/bin/,=$(PREFIX)/bin/,' systemd/$$unit.service > "$(UNITDIR)/$$unit.service"; \
	done
	install -m 644 -t "$(UNITDIR)" systemd/hyclusd.socket systemd/hyclus-console.socket
	install -d "$(SYSUSERSDIR)"
	for package in hyclus hyclus-console hyclus-ship; do \
		install -m 644 systemd/$$package.sysusers "$(SYSUSERSDIR)/$$package.conf"; \
	done
	install -D -m 644 systemd/hyclus.tmpfiles "$(TMPFILESDIR)/hyclus.conf"
	install -D -m 644 -t "$(SYSCTLDIR)" systemd/90-hyclus.conf
	install -D -m 644 -t "$(UDEVDIR)" systemd/70-hyclus.rules
	cp -R config "$(SHAREDIR)"
	install -d "$(MANDIR)" "$(BASHDIR)" "$(ZSHDIR)" "$(FISHDIR)"
	"$(TARGET)/release/hyclus-manual" man "$(MANDIR)"
	"$(TARGET)/release/hyclus-manual" completions bash "$(BASHDIR)"
	"$(TARGET)/release/hyclus-manual" completions zsh "$(ZSHDIR)"
	"$(TARGET)/release/hyclus-manual" completions fish "$(FISHDIR)"
	install -m 644 -t "$(CONFDIR)" config/rig.example.toml
	@echo 'Installed. Then: systemd-sysusers && systemd-tmpfiles --create && sysctl --system && udevadm control --reload && systemctl daemon-reload'
	@echo 'Write $(SYSCONFDIR)/hyclus/rig.toml after rig.example.toml beside it, and start: systemctl enable --now hyclusd.socket hyclusd.service'

clean: ## remove build outputs; .cache/ stays
	cargo clean
