# The two commands are `make repro` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Many images set it, and then every process compiles our code again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-fast test-long test-faults check types pages rules format lock clean docs docs-serve bench-align bench-shards bench-ingest bench-video bench-duplicates bench-feeding bench-scale bench-gpu bench-ablation bench-cluster bench-doubt bench-doubt-network bench-intervals bench-personal bench-review screenshots mutants policies labels tables

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: $(STAMP) ## create .venv and install the locked dependencies

# uv is itself one of the locked dependencies: pip fetches that one file by its hash, and uv the rest.
$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed and none was found; PYTHON=/path/to/python names one" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock.txt
	$(BIN)/uv pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

repro: setup ## run the whole pipeline on the embedded demo data (a second run does nothing)
	dvc repro

# As many workers as cores, so one thread each: more only wait for each other. The longest files are first in order.
# The same random examples on every run: what another draw would find is looked for with another seed, not by whoever
# comes along with a change.
TEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} python -m pytest --hypothesis-seed=$${HYPOTHESIS_SEED:-0}

test: setup ## run all tests
	$(TEST) -q -n $${PYTEST_WORKERS:-2} --dist loadfile --no-loadscope-reorder

test-fast: setup ## run the tests that take seconds
	$(TEST) -q -n $${PYTEST_WORKERS:-2} --dist loadfile --no-loadscope-reorder -m 'not slow and not faults and not long'

test-long: setup ## what takes minutes: every row of the thesis, the wheel, every command watched or without an account
	$(TEST) -q -n $${PYTEST_WORKERS:-2} --dist loadfile --no-loadscope-reorder -m long

# One process: these tests fill disks, kill what runs and bound the memory of their children.
test-faults: setup ## kills, full disks, flipped bits, mutated pictures, short memory: docs/reliability.md; takes minutes
	$(TEST) -q -n 0 -m faults

# Without advice on what will follow mkdocs.
MKDOCS := NO_MKDOCS_2_WARNING=1 python -m mkdocs

# `make -j2 check` runs mypy beside the others.
check: types pages rules ## ruff, mypy --strict, the pages, the import rules, and that every name in a text is there

types: setup
	mypy

pages: setup
	ruff check .
	ruff format --check .
	$(MKDOCS) build --quiet --site-dir $(VENV)/site

rules: setup
	python -m pytest -q tests/test_rules.py tests/test_names.py

docs: setup ## build the pages of docs/ into site/; they load nothing from the network
	$(MKDOCS) build

docs-serve: setup ## the same on http://localhost:8000, with search, anew after every edit
	$(MKDOCS) serve

format: setup ## let ruff format the code
	ruff check --fix .
	ruff format .

lock: setup ## resolve the dependencies anew into requirements.lock
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

bench-align: setup ## detection and alignment beside facenet-pytorch, dlib, mtcnn and deepface
	python -m benchmarks.align

bench-shards: setup ## writing and reading shards beside torchvision, webdataset, datasets and litdata
	python -m benchmarks.shards

bench-ingest: setup ## reading a tree of 100,000 small pictures
	python -m benchmarks.ingest

bench-video: setup ## an hour of video on one core: listing, decoding, searching and cropping its frames
	python -m benchmarks.video

bench-duplicates: setup ## finding the same picture among 100,000 faces; recall and false pairs by threshold
	python -m benchmarks.duplicates

bench-feeding: setup ## images a second of training from the shards beside the same from memory
	python -m benchmarks.feeding

bench-scale: setup ## time and peak memory of the stages on 1,000 to 1,000,000 rows, and the exponent of the growth
	python -m benchmarks.scale

bench-gpu: setup ## training and alignment on a GPU beside the CPU
	python -m benchmarks.gpu

bench-ablation: setup ## what each ingredient of the default training brings on real faces; takes hours
	python -m benchmarks.ablation $${TMPDIR:-/tmp}/ablation

bench-doubt: setup ## how many planted wrong labels prep doubt finds: docs/doubt.md
	python -m benchmarks.doubt $${TMPDIR:-/tmp}/doubt

bench-doubt-network: setup ## the same for the loss of the default network, trained without the person; takes an hour
	python -m benchmarks.doubt_network $${TMPDIR:-/tmp}/doubt

bench-cluster: setup ## what handing parts to processes and to Ray costs, and the memory of the driver: docs/cluster.md
	python -m benchmarks.cluster

bench-intervals: setup ## how often a 95% interval holds the truth, by the number of people: docs/intervals.md
	python -m benchmarks.intervals

bench-personal: setup ## what labelled faces of a person are worth: docs/personal.md; trains for minutes
	python -m benchmarks.personal $${TMPDIR:-/tmp}/personal

screenshots: setup ## take the pictures of the pages in docs/ anew, after make repro; no face can be known in them
	python -m benchmarks.screenshots

bench-review: setup ## from a key to the next picture on the page of prep review
	python -m benchmarks.review

mutants: setup ## how many small faults in the code the tests notice: docs/mutants.md; takes an hour
	python -m benchmarks.mutants

policies: setup ## what each policy for several categories at once makes of the demo's EMOTIC
	python -m benchmarks.policies

labels: setup ## write docs/labels.md: every native label with its class, source and the literature's alternatives
	python -m benchmarks.labels

tables: setup ## fill the two tables of the thesis from the experiments of `dvc exp run`
	prep tables

clean: ## remove every result, keep raw data and .venv
	rm -rf data runs
