# make demo | test | lint | bench | format | lock: each works as the first command after git clone.

PYTHON ?= python3
VENV ?= .venv
CORES ?= all
CONFIG ?= config/demo.yaml
RUN ?= demo
TORCH_INDEX ?=
LOCK := envs/requirements.lock
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo run report check test test-slurm chaos lint docs package crate bench format schema lock clean

help:
	@echo "make demo    set up and run the demo: two toys and digits, tables and figures"
	@echo "make run     set up, check and run CONFIG=config/toy3d.yaml, or another run's file"
	@echo "make report  the report of RUN=demo, finished or not: what is there, what is missing, logs"
	@echo "make check   set up and say what is wrong in CONFIG, file and line or place; runs nothing"
	@echo "make test    set up and run the tests"
	@echo "make chaos   set up, and kill a tiny run 100 times (an hour): it must end the same"
	@echo "make lint    set up and check style, types and the workflow"
	@echo "make test-slurm  run the tests that go through a SLURM, where one answers"
	@echo "make docs    set up and build the documentation into site/"
	@echo "make package build wheel and source distribution into dist/ and check them"
	@echo "make crate   describe a finished run (RUN=demo) as an RO-Crate, for archives"
	@echo "make bench   set up, install the peers and measure speed against them (20 minutes)"
	@echo "make format  rewrite the code in the project's style"
	@echo "make schema  regenerate workflow/schemas/ and the page of all keys from vqflow/config/"
	@echo "make lock    resolve envs/requirements.lock anew from pyproject.toml (needs uv)"
	@echo "TORCH_INDEX=address takes torch from an index with wheels for CPUs: 4 GB less"
	@echo "VENV=path puts the environment elsewhere; CORES=n limits the cores of demo and run"

# What an index for CPUs serves otherwise, and what it does not need.
TORCH := ^(torch|torchvision)==
CUDA := ^(nvidia-|cuda-|triton==)

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("vqflow needs Python 3.11 to 3.13, not " + sys.version.split()[0] + ": set PYTHON=python3.12, say") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	@echo "Installing into $(VENV) (about 6.4 GB, 2 to 3 minutes) ..."
	@$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH_INDEX),)
	@$(BIN)/python -m pip install --quiet --no-deps -r $(LOCK)
else
	@grep -E '$(TORCH)' $(LOCK) > $(VENV)/torch.txt
	@grep -vE '$(TORCH)|$(CUDA)' $(LOCK) > $(VENV)/others.txt
	@$(BIN)/python -m pip install --quiet --no-deps --index-url $(TORCH_INDEX) -r $(VENV)/torch.txt
	@$(BIN)/python -m pip install --quiet --no-deps -r $(VENV)/others.txt
endif
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(READY)

install: $(READY)

demo: $(READY)
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml

check: $(READY)
	@$(BIN)/vqflow check $(CONFIG)

run: check
	$(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG)

report: $(READY)
	@$(BIN)/python -m vqflow.report results/$(RUN)

test: $(READY)
	$(BIN)/python -m pytest

test-slurm: $(READY)
	$(BIN)/python -m pytest -n 0 -m slurm tests/cluster

chaos: $(READY)
	cd tests && $(abspath $(BIN))/python -m chaos --kills 100

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile config/demo.yaml

docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open site/index.html"

package: $(READY)
	rm -rf build dist
	@$(BIN)/python -m pip install --quiet --no-deps build==1.3.0 pyproject_hooks==1.2.0
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m pytest -n 0 tests/test_wheel.py
	@test -z "$(TAG)" || test "v$$($(BIN)/python -c 'import vqflow; print(vqflow.__version__)')" = "$(TAG)"

crate: $(READY)
	$(BIN)/python -m vqflow.stages.crate results/$(RUN)

bench: $(READY)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
		-r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(READY)
	$(BIN)/python -m vqflow.config.schema
	$(BIN)/python -m vqflow.config.reference

lock:
	uv pip compile --universal --python-version 3.11 --extra workflow --extra dev --extra docs --extra slurm \
		pyproject.toml \
		-c envs/constraints.txt --no-header --no-annotate -o $(LOCK)
	{ sed '/^  - pip:/q' envs/environment.yaml; sed 's/^/      - /' $(LOCK); } \
		> envs/environment.new && mv envs/environment.new envs/environment.yaml

clean:
	rm -rf results/demo .snakemake
