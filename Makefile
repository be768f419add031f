# make demo: set up, then check, cure and prove a deep sigmoid net on scikit-learn's digits; a run whose spike is caught.
# make test: set up, then run every check and the tests that are not marked `long`.
# make test-all: the same with every test, as CI does.
# make test-oldest: the suite's core on the oldest releases of torch and the rest that steadygrad works with, in .venv-oldest.
#   From PyPI torch 2.6 for Linux comes with CUDA's libraries, which it loads without a GPU too: 5 GB on disk.
# make test-newest: the same on torch 2.14 in .venv-newest, with what needs torchvision: fastai's example, the models of timm; and mup.
# make fuzz: 20,000 made-up journals, reports, settings, targets and command lines, where make test-all takes 500.
# make site: the documentation as web pages, in build/site. make figures: the figures of the lab, measured again.
# make dist: sdist and wheel, checked, and run from an environment that has the wheel alone.
# All need Python 3.11 or newer and nothing else; everything goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := $(VENV)/.site
DIST := $(VENV)/.dist
# The files that define the public names: their docstrings follow Google's convention.
PUBLIC := $(addprefix src/steadygrad/,__init__.py _check.py _fix/apply.py _fix/fix.py _fix/growth.py _fix/scale_patch.py \
	_guard/attach.py _guard/guard.py act/on_alarm.py clip cures/learning_rate.py cures/plan.py cures/cured.py cures/rate_search.py \
	errors.py integrations lab/__init__.py proof.py record rounding/check_precision.py scaling/check_scale.py \
	scaling/check_depth.py)
CORE := tests/test_torch_internals.py tests/test_api.py tests/clip tests/probe tests/rules tests/report tests/journal \
	tests/cures/test_remedies.py $(addprefix tests/guard/test_,acting.py clip.py covers.py loops.py messages.py spikes.py)
WITH_newest := torchvision timm fastai omegaconf mup
ONLY_newest := tests/docs/test_integrations.py tests/cli/test_config_option.py tests/scaling/test_mup.py

# The nets of the demo and the tests are small: one thread each is fastest, above all beside other work.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-all test-oldest test-newest lint types imports tests tests-all fuzz mutants docs figures site dist clean

demo: $(READY)
	$(BIN)/steadygrad check examples/deep_sigmoid.py --exit-zero
	@echo
	$(BIN)/steadygrad cure examples/deep_sigmoid.py
	@echo
	$(BIN)/steadygrad prove examples/deep_sigmoid.py
	@echo
	$(BIN)/steadygrad run --on-alarm skip examples/spike.py

test: lint types imports tests
test-all: lint types imports tests-all

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)

test-oldest test-newest: test-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest -n 2 --dist loadfile -m "not long" $(CORE) $(ONLY_$*)

.venv-%/.ready: pyproject.toml constraints-%.txt
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-$*/bin/python -m pip install --quiet --constraint constraints-$*.txt --editable ".[fix]" --group tests $(WITH_$*)
	touch .venv-$*/.ready

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff check --select D $(PUBLIC)
	$(BIN)/ruff format --check .
	$(BIN)/vulture

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# Tests build the site and the wheel; they are left out where what they need is not installed.
tests-all: $(READY) $(SITE) $(DIST)
	$(BIN)/python -m pytest -n 2 --dist worksteal

fuzz: $(READY)
	STEADYGRAD_FUZZ=20000 $(BIN)/python -m pytest tests/fuzz -n 2 --timeout 7200

mutants: $(READY)
	$(BIN)/python -m bench.mutants

docs: $(READY)
	$(BIN)/python docs/make.py

figures: $(READY)
	$(BIN)/python docs/figures.py

$(SITE): pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $(SITE)

# Warnings are errors: a link that leads nowhere, a page that no contents lists, a name that a docstring gets wrong.
site: $(SITE)
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -b html docs build/site
	@echo build/site/index.html

$(DIST): pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dist
	touch $(DIST)

dist: $(DIST)
	recipe/dist.sh $(abspath $(BIN))/python

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
