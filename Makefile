# One name per task; `make help` lists them. PY chooses the interpreter: make test PY=python3.13
# Each minor version of Python has its own environment (.venv/3.13) and build folder (target/py3.13),
# and its own extension file in python/ferrio, so that several live side by side.

PY ?= python3
# Many tests wait for a clock or a child: with more of them than cores the cores are busy.
JOBS ?= 6
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-core test-python test-uvloop test-programs programs-hosts ecosystem stress fuzz lint fmt check build bench bench-net bench-http bench-report docs docs-serve sdist wheel test-packaging clean FORCE
export PATH := $(PATH):$(HOME)/.cargo/bin
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

help: ## list the names
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

# What the goals below need is looked for once, before anything runs: a missing piece is one sentence.
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
found := $(shell tools/find_python.sh '$(PY)' 2>&1 || echo MISSING)
ifneq ($(filter MISSING,$(found)),)
$(error $(filter-out MISSING,$(found)))
endif
ifeq ($(shell PATH='$(PATH)' command -v cargo),)
$(error Rust is missing: install the stable toolchain (rustup.rs), 1.88 or newer, and run make again)
endif
endif

python := $(word 1,$(found))
minor := $(word 2,$(found))
venv := .venv/$(minor)
bin := $(venv)/bin
target := target/py$(minor)
programs := ../shared/programs
reference := tests/programs/test_reference_programs.py
# The load generator of bench-net speaks TLS; nothing else links OpenSSL.
bench_net := $(if $(shell pkg-config --exists openssl 2>/dev/null && echo found),--package ferrio-bench-net)
openssl_missing := the headers of OpenSSL and pkg-config (Debian: libssl-dev, pkg-config)
extension := python/ferrio/_ferrio$(word 3,$(found))
rust := Cargo.toml Cargo.lock $(shell find crates -path crates/bench-net -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)
cargo := CARGO_TARGET_DIR=$(target) PYO3_PYTHON=$(abspath $(bin)/python) cargo

# An environment made with another interpreter of the same version is made anew, with all that is in it.
other := $(if $(filter $(realpath $(python)),$(realpath $(bin)/python)),,FORCE)
$(venv)/.made: $(other)
	@rm -rf $(venv)
	$(python) -m venv $(venv)
	$(bin)/python -m pip install --quiet pip==26.3
	@touch $@

# .venv/3.13/.group-test stands for "the dependency group `test` of pyproject.toml is installed".
$(venv)/.group-%: pyproject.toml $(venv)/.made
	$(bin)/python -m pip install --quiet --group $*
	@touch $@

$(extension): $(rust) $(venv)/.group-build
	CARGO_TARGET_DIR=$(target) VIRTUAL_ENV=$(abspath $(venv)) $(bin)/maturin develop --release --locked
	@touch $@

build: $(extension) ## build the release extension and install it, editable, in .venv/3.X

run: build ## run examples/tour.py on asyncio and on Ferrio; PROGRAM=x.py ARGS='...' runs x.py on Ferrio
ifdef PROGRAM
	@$(bin)/python -m ferrio $(PROGRAM) $(ARGS)
else
	@$(bin)/python examples/tour.py --compare
endif

test: test-core test-python test-uvloop test-programs ## run every test; PY=python3.13 chooses the interpreter

test-core: ## run the tests of crates/core and crates/bench-net; loom's interleavings
	CARGO_TARGET_DIR=target/core cargo test --locked --package ferrio-core $(bench_net)
	@$(if $(bench_net),,echo 'Not tested: crates/bench-net, which needs $(openssl_missing)')
	CARGO_TARGET_DIR=target/loom RUSTFLAGS='--cfg loom' \
		cargo test --locked --package ferrio-core --test 'loom_*'

test-python: build $(venv)/.group-test $(venv)/.group-programs $(venv)/.group-ecosystem ## run tests/; ARGS='-k name' narrows
	$(bin)/python -m pytest -n $(JOBS) --dist worksteal --ignore $(reference) $(ARGS)

# They come with uvloop's source distribution, which pip downloads once into the user's cache.
test-uvloop: build $(venv)/.group-uvloop-tests ## run uvloop's own tests on Ferrio; MODULES=test_tcp narrows
	$(bin)/python tests/conformance/uvloop_suite.py --jobs $(JOBS) $(MODULES)

# They compare times and the order of timers a millisecond apart: nothing else may run meanwhile.
test-programs: build $(venv)/.group-test $(venv)/.group-programs ## compare the reference programs with stock
	$(bin)/python -m pytest -rs $(reference)

stress: build $(venv)/.group-test ## run tests/stress in its long form, some minutes; ARGS='-k churn' narrows
	FERRIO_STRESS=long $(bin)/python -m pytest tests/stress $(ARGS)

fuzz: build $(venv)/.group-test ## compare random programs with stock for SECONDS=3600; ARGS='--seed 1 --features locks'
	$(bin)/python tests/differential/fuzz.py --seconds $(or $(SECONDS),3600) --jobs $(JOBS) $(ARGS)

# Each upstream suite has an environment of its own, because what they need differs.
suites := aiohttp uvicorn anyio websockets
$(venv)-ecosystem-%/.made: pyproject.toml $(venv)/.made
	@rm -rf $(@D)
	$(bin)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet pip==26.3
	$(@D)/bin/python -m pip install --quiet --group ecosystem-$*
	@touch $@

ecosystem: build $(suites:%=$(venv)-ecosystem-%/.made) $(venv)/.group-test $(venv)/.group-programs \
		$(venv)/.group-ecosystem $(venv)/.group-adoption ## run upstream suites on stock and on Ferrio; SUITES=anyio narrows
	$(bin)/python -m pytest tests/ecosystem
	$(bin)/python tests/ecosystem/run_suites.py --jobs $(JOBS) $(venv)-ecosystem- $(SUITES)

programs-hosts: build $(venv)/.group-programs ## compare all reference programs with stock; as root, for their web
	@test -d $(programs) || { echo "The reference programs are missing: $(programs) is not there"; exit 1; }
	PYTHON=$(abspath $(bin)/python) $(programs)/localweb/with_localweb.sh \
		$(programs)/compare.py --python $(abspath $(bin)/python) --hosts $(ARGS)

# What is compiled for Python 3.14 alone is checked where there is none: PyO3 reads what it is like from a file.
lint: build $(venv)/.group-lint $(venv)/.group-test ## check format, lints, types, stubs, layers, sizes, names
	cargo fmt --all --check
	$(cargo) clippy --workspace --all-targets --locked -- -D warnings
	PYO3_CONFIG_FILE=$(abspath tools/python314_pyo3.cfg) CARGO_TARGET_DIR=target/lint \
		cargo check --package ferrio --locked
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/python -m mypy.stubtest ferrio._ferrio --allowlist tools/stubtest_allowlist.txt --ignore-unused-allowlist
	$(bin)/mypy --strict tests/typing/public_api.py
	$(bin)/python tools/check_layers.py
	$(bin)/python tools/check_sizes.py
	$(bin)/python tools/check_names.py

fmt: $(venv)/.group-lint ## format Rust and Python, and mend what ruff can mend
	cargo fmt --all
	$(bin)/ruff check --fix-only --quiet .
	$(bin)/ruff format .

check: lint test ## everything that must be green before a commit

bench: build $(venv)/.group-bench ## measure all loops, one table; ROWS=sleep0_one,gather_100 narrows
	$(bin)/python benches/run.py $(if $(ROWS),--rows '$(ROWS)') $(ARGS)

bench-net: build $(venv)/.group-bench ## measure servers under load, beside a bare one; ROWS=churn_streams narrows
	@$(if $(bench_net),,echo 'The load generator needs $(openssl_missing)'; exit 1)
	CARGO_TARGET_DIR=target/bench cargo build --release --locked --package ferrio-bench-net
	$(bin)/python benches/run_net.py $(if $(ROWS),--rows '$(ROWS)') $(ARGS)

bench-http: build $(venv)/.group-bench $(venv)/.group-bench-http ## measure HTTP servers under wrk; ROWS=uvicorn_plaintext narrows
	$(bin)/python benches/run_http.py $(if $(ROWS),--rows '$(ROWS)') $(ARGS)

bench-report: $(venv)/.group-bench ## draw the plots of docs/performance.md; ARGS='--take http out.json' takes a run's figures
	$(bin)/python benches/report.py $(ARGS)

docs: build $(venv)/.group-docs ## build the documentation site into target/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build

docs-serve: build $(venv)/.group-docs ## show the documentation site on a local port, and follow changes
	$(bin)/mkdocs serve

sdist: $(venv)/.group-wheel ## build the source distribution into dist
	$(bin)/maturin sdist --out dist

# Zig links against the symbols of an older C library than this machine's. The source distribution leaves
# crates/bench-net out, so cargo takes the packages of that off the lock file, which --locked would forbid.
wheel: $(venv)/.group-wheel ## build the source distribution, and of it a wheel for any Linux, into dist
	CARGO_TARGET_DIR=$(target)-wheel PATH='$(abspath $(bin)):$(PATH)' $(bin)/maturin build --release --strip --sdist \
		--zig --compatibility manylinux_2_28 --interpreter $(bin)/python --out dist

test-packaging: wheel ## check the wheel, install it in a new environment and run programs on it
	$(bin)/python tools/check_wheel.py dist

clean: ## remove what was built and every environment
	rm -rf target .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis python/ferrio/_ferrio*.so
	find python tests benches examples tools -name __pycache__ -prune -exec rm -rf {} +
