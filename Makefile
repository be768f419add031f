# make demo: set up, then check, cure and prove a deep sigmoid net on scikit-learn's digits; a run whose spike is caught.
# make test: set up, then run every check and every test.
# make fuzz: 20,000 made-up journals, reports, settings, targets and command lines, where make test takes 500.
# All need Python 3.11 or newer and nothing else; everything goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The nets of the demo and the tests are small: one thread each is fastest, above all beside other work.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint types imports tests fuzz docs clean

demo: $(READY)
	$(BIN)/steadygrad check examples/deep_sigmoid.py --exit-zero
	@echo
	$(BIN)/steadygrad cure examples/deep_sigmoid.py
	@echo
	$(BIN)/steadygrad prove examples/deep_sigmoid.py
	@echo
	$(BIN)/steadygrad run --on-alarm skip examples/spike.py

test: lint types imports tests

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

fuzz: $(READY)
	STEADYGRAD_FUZZ=20000 $(BIN)/python -m pytest tests/fuzz -n 2 --timeout 7200

docs: $(READY)
	$(BIN)/python docs/make.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
