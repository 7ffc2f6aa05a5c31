# The front door: each target installs the Debian packages it needs (once), builds, runs.
# `make help` lists them.
ARGS ?=
PREFIX ?= /usr/local
CTEST_ARGS ?=
JOBS ?= $(shell nproc)

# Errors and warnings of the configuration go to standard error and stay visible.
configure = @cmake >/dev/null --preset
build = @cmake --build --parallel $(JOBS) --preset
sources = $$(find include src cli server bench examples tests fuzz \
	\( -name '*.h' -o -name '*.cc' \) 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run test bench goals proof instructions lint sanitize torture mutants fuzz install
.PHONY: clean

help: ## Show this list
	@echo "make <target> [VARIABLE=value]"
	@sed -n 's/^\([a-z]*\):.*## /  \1	/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Build and run the demo; ARGS="--seconds 10 ..." is passed to it
	@sh scripts/setup.sh build
	$(configure) release
	$(build) release
	@build/release/bin/freyja demo $(ARGS)

test: ## Build and run all tests; CTEST_ARGS="-R pattern" picks some
	@sh scripts/setup.sh build test
	$(configure) dev
	$(build) dev
	@ctest --preset dev $(CTEST_ARGS)

bench: ## Build and run freyja-bench; ARGS is passed to it
	@sh scripts/setup.sh build bench
	$(configure) bench
	$(build) bench
	@build/bench/bin/freyja-bench $(ARGS)

goals: ## Measure what FreyjaDB is to reach, for hours; ARGS="--only open memory"
	@sh scripts/setup.sh build test bench
	$(configure) proof
	$(build) proof --target freyja-bench
	@scripts/measure_goals.py build/goals --bench build/proof/bin/freyja-bench $(ARGS)

proof: ## Run tests and torture suite on the build that goals measures; ARGS="--seconds 600"
	@sh scripts/setup.sh build test bench
	$(configure) proof
	$(build) proof
	@ctest --preset proof $(CTEST_ARGS)
	@build/proof/bin/freyja-torture $(ARGS)

instructions: ## Count the instructions of the hot paths against bench/instructions.json
	@sh scripts/setup.sh build bench
	$(configure) bench
	$(build) bench --target freyja-hot-paths
	@scripts/count_instructions.py build/bench/bin/freyja-hot-paths $(ARGS)

lint: ## Check formatting, run clang's thread-safety analysis and clang-tidy
	@sh scripts/setup.sh build lint bench
	@clang-format-19 --dry-run --Werror $(sources)
	$(configure) lint
	$(build) lint
	@scripts/tidy.sh build/lint $(JOBS)

sanitize: ## Run the tests under address, undefined-behaviour and thread sanitizers
	@sh scripts/setup.sh build test lint
	$(configure) asan-ubsan
	$(build) asan-ubsan
	@ctest --preset asan-ubsan $(CTEST_ARGS)
	$(configure) tsan
	$(build) tsan
	@ctest --preset tsan $(CTEST_ARGS)

# What the last `make mutants` said is shown with the rest.
mutants_report = $(wildcard build/mutants/report.json)
torture: ## Try to break a store for as long as you like; ARGS="--seconds 3600 --seed 1 --json"
	@sh scripts/setup.sh build test
	$(configure) dev
	$(build) dev --target freyja-torture
	@build/dev/bin/freyja-torture $(if $(mutants_report),--mutants $(mutants_report)) $(ARGS)

mutants: ## Seed faults into a copy and see that the tests notice each; ARGS="--matrix ..."
	@sh scripts/setup.sh build test
	@python3 tests/mutants/run.py --jobs $(JOBS) $(ARGS)

fuzz: ## Fuzz formats, loaders and a whole store; ARGS="--seconds 60 --targets store"
	@sh scripts/setup.sh build test lint
	$(configure) fuzz
	$(build) fuzz
	@python3 fuzz/run.py --programs build/fuzz/bin $(ARGS)

install: ## Install library, headers, command line and documents; PREFIX=/usr/local
	@sh scripts/setup.sh build
	$(configure) release -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	$(build) release
	@cmake --install build/release
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" -eq 0 ]; then ldconfig; fi

clean: ## Delete everything that was built
	@rm -rf build
