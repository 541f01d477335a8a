# Everything runs in a virtual environment of its own, .venv; every target sets it up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One more than there are processors: tests wait for processes a sixth of their time.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) + 1 if hasattr(os, 'sched_getaffinity') else 'auto')")

.PHONY: help venv demo test test-slurm soak lint format conf bench bench-solvers bench-kernels bench-gpu growth gallery atlas docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "feature_lazy needs Python 3.11 or newer; say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

venv: $(STAMP) ## install alone: .venv

demo: $(STAMP) ## install, then sweep α × width × seed on real digits: results/demo
	$(BIN)/python train.py experiment=demo

test: $(STAMP) ## install, then run all tests but those that measure a claim
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not slow"  # what a module shares is made once

test-slurm: $(STAMP) ## start a SLURM cluster on this machine, run the tests that need one, end it
	SLURM_TESTBED_REQUIRED=1 slurm/testbed/with.sh $(BIN)/python -m pytest -m slurm tests/slurm

soak: $(STAMP) ## kill, stop and take over processes that train, at random, for ten minutes
	$(BIN)/python -m tests.runs.soak

lint: $(STAMP) ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(STAMP) ## format the source
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conf: $(STAMP) ## write conf/GROUP/OPTION.yaml and docs/options.md from the registry of options
	$(BIN)/python -m feature_lazy.settings.generate

bench: $(STAMP) ## time help, start-up, gradients, kernels and the demo
	$(BIN)/python benchmarks/speed.py --demo

bench-solvers: $(STAMP) ## work, time and error of every stepper against the article's rule
	$(BIN)/python benchmarks/solvers.py --json benchmarks/results/solvers.json
	$(BIN)/python benchmarks/bars.py benchmarks/results/solvers.json
	$(BIN)/python benchmarks/members.py --json benchmarks/results/members.json

bench-kernels: $(STAMP) ## time, memory and flops of exact kernels against the usual ways
	$(BIN)/python benchmarks/kernels.py --json benchmarks/results/kernels.json

bench-gpu: $(STAMP) ## on an NVIDIA GPU, ten minutes: 20 seeds × 8 α together, Θ against the matrix rate
	$(BIN)/python benchmarks/gpu.py --json benchmarks/results/gpu.json

growth: $(STAMP) ## time and memory against P, h, L, members and cells, five minutes, and write docs/growth.md
	$(BIN)/python benchmarks/growth.py

gallery: $(STAMP) ## train the small sweeps of all figures of the article, about an hour, and write docs/gallery.md
	PYTHONPATH=. $(BIN)/python benchmarks/gallery.py

atlas: $(STAMP) ## measure all claims: the tests marked slow, then the systems of the literature, docs/atlas.md
	$(BIN)/python -m pytest -n $(WORKERS) -m slow
	PYTHONPATH=. $(BIN)/python benchmarks/atlas.py

docs: $(STAMP) ## build the documentation as a site, site/index.html, and check its links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # --quiet would let warnings pass

clean: ## remove the virtual environment and caches, never results
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
