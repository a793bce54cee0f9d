# make demo | test | lint | bench | format | lock: each works as the first command after git clone.

PYTHON ?= python3
VENV ?= .venv
CORES ?= all
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test chaos lint bench format schema lock clean

help:
	@echo "make demo    set up and run the demo: two toys and digits, tables and figures"
	@echo "make test    set up and run the tests"
	@echo "make chaos   set up, and kill a tiny run 100 times (an hour): it must end the same"
	@echo "make lint    set up and check style, types and the workflow"
	@echo "make bench   set up, install the peers and measure speed against them (20 minutes)"
	@echo "make format  rewrite the code in the project's style"
	@echo "make schema  regenerate workflow/schemas/ from vqflow/config/"
	@echo "make lock    resolve envs/requirements.lock anew from pyproject.toml (needs uv)"
	@echo "VENV=path puts the environment elsewhere; CORES=n limits the cores of the demo"

$(READY): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("vqflow needs Python 3.11 to 3.13, not " + sys.version.split()[0] + ": set PYTHON=python3.12, say") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	@echo "Installing into $(VENV) (about 5.5 GB, minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps -r envs/requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml
	@$(BIN)/python -m vqflow.show results/demo

test: $(READY)
	$(BIN)/python -m pytest

chaos: $(READY)
	cd tests && $(abspath $(BIN))/python -m chaos --kills 100

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile config/demo.yaml

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

lock:
	uv pip compile --universal --python-version 3.11 --extra workflow --extra dev --extra docs --extra slurm \
		pyproject.toml \
		-c envs/constraints.txt --no-header --no-annotate -o envs/requirements.lock
	{ sed '/^  - pip:/q' envs/environment.yaml; sed 's/^/      - /' envs/requirements.lock; } \
		> envs/environment.new && mv envs/environment.new envs/environment.yaml

clean:
	rm -rf results/demo .snakemake
