# Everything runs in .venv; the first target that needs it makes it. Needs python3 >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header
# Files of tests that run at the same time; those that start servers and browsers take a core each.
WORKERS ?= 2
SOURCES := collectors transforms sql dags tests benchmarks docs

.PHONY: help setup setup-run demo test check docs bench bench-large bench-scale bench-booking bench-tokens bench-storage bench-spectra bench-gpu bench-collector bench-timing chaos restatement bounds fleet accuracy emulated-nvml gpu-check record-decode lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 19

setup: .venv/dev.stamp ## make .venv with everything: analysis, Airflow, CUDA compiler, test tools
setup-run: .venv/run.stamp ## make .venv with what the demo needs, no more

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "cannot make .venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "setting up .venv (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "adding test tools, Airflow and the CUDA compiler (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/run.stamp ## emulate a small fleet for an hour, and index it
	@$(BIN)/tokenergy demo

test: .venv/dev.stamp ## run the tests, WORKERS=2 files at a time
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: .venv/dev.stamp ## format, lint, types, layers, generated docs
	@failed=0; \
	for step in "ruff format --check $(SOURCES)" "ruff check $(SOURCES)" mypy lint-imports \
	    "python -m docs.generate --check"; do \
	  echo "$$step"; $(BIN)/$$step || { failed=1; summary="$$summary; $$step"; }; \
	done; \
	if [ $$failed = 1 ]; then echo "make check: failed: $${summary#; }" >&2; exit 1; fi

docs: .venv/dev.stamp ## write docs/contract.md and docs/cli.md anew from the code
	$(BIN)/python -m docs.generate

bench: .venv/dev.stamp ## time the integration beside NumPy, DuckDB, Polars and C++, and from Parquet (10 minutes)
	$(BIN)/python -m benchmarks.integration --json build/bench-integration.json
	$(BIN)/python -m benchmarks.endtoend --json build/bench-endtoend.json

bench-large: .venv/dev.stamp ## from Parquet to segments at 10 M to 1,000 M readings: time and memory (10 minutes, 4 GB of disk)
	$(BIN)/python -m benchmarks.endtoend --readings 10000000,100000000,1000000000 --json build/bench-large.json

bench-tokens: .venv/dev.stamp ## token usage: a few points an hour beside all readings (3 minutes)
	$(BIN)/python -m benchmarks.tokens --jobs 200

bench-scale: .venv/dev.stamp ## a day and two of 1,000 GPUs to ledger and index, and questions on them (long; 15 GB of disk)
	$(BIN)/python -m benchmarks.scale --json build/bench-scale.json

bench-booking: .venv/dev.stamp ## booking an hour: compiled beside SQL alone (1 minute)
	$(BIN)/python -m benchmarks.booking

bench-storage: .venv/dev.stamp ## bytes a reading and decode speed by encoding; derived rows by codec (1.5 minutes)
	$(BIN)/python -m benchmarks.storage --json build/bench-storage.json

bench-spectra: .venv/dev.stamp ## planted swings in emulated fleets: found, or refused (1 minute)
	$(BIN)/python -m benchmarks.spectra

bench-gpu: .venv/dev.stamp ## on a CUDA machine: kernels beside copy bandwidth, feeder beside the bus, break-even
	$(BIN)/python -m benchmarks.gpu build/bench-gpu.json

emulated-nvml: .venv/run.stamp ## compile the NVML library that shows emulated boards to any program
	@$(BIN)/python -m tokenergy_collectors.emulate.native.build build/emulated-nvml

bench-collector: .venv/dev.stamp ## the collector's CPU and memory beside its peers' (9 minutes)
	$(BIN)/python -m benchmarks.collector

bench-timing: .venv/dev.stamp ## how well the collector keeps its ticks over 10 minutes
	$(BIN)/python -m benchmarks.timing

chaos: .venv/dev.stamp ## kill the daemon 200 times, damage its logs, fill its disk, take its store away
	$(BIN)/python -m benchmarks.chaos

restatement: .venv/dev.stamp ## correct a job map three days later: what is derived again, what moved (1 minute)
	$(BIN)/python -m benchmarks.restatement

bounds: .venv/dev.stamp ## coverage and width of bounds by sensor, by class and calibrated (5 minutes)
	$(BIN)/python -m benchmarks.bounds

fleet: .venv/dev.stamp ## collect 1,024 emulated GPUs in one process, and score them
	@$(BIN)/python -m benchmarks.fleet

accuracy: .venv/dev.stamp ## errors of three methods by sensor, workload and length of job
	@$(BIN)/python -m benchmarks.accuracy

gpu-check: .venv/dev.stamp ## on a CUDA machine: CUDA and CPU segments must agree to the bit
	$(BIN)/python -m benchmarks.gpu_check

record-decode: .venv/dev.stamp ## on a CUDA machine: record a decoding model, print J/token by batch size (3 minutes; needs torch)
	$(BIN)/python -m benchmarks.decode record build/decode
	$(BIN)/python -m benchmarks.decode table build/decode

lock: .venv/dev.stamp ## resolve the locked versions anew
	$(LOCK) --extra analysis --extra gpu --extra airflow --extra s3 --extra dev \
	  pyproject.toml requirements/build.in requirements/peers.in -o requirements/dev.txt
	$(LOCK) --extra analysis -c requirements/dev.txt \
	  pyproject.toml requirements/build.in -o requirements/run.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/collect.txt
	$(LOCK) --extra s3 -c requirements/dev.txt pyproject.toml -o requirements/collect-s3.txt
	$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt

clean: ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-lake
