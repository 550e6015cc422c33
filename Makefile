# Every target makes its own virtual environment on a machine that has Python 3.11+ and make.
VENV ?= .venv
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# torch without CUDA is not to be had everywhere for every Python; 3.11 is asked first.
PEFT_VENV ?= .venv-peft
PEFT_PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo $(PYTHON))
PEFT_INSTALLED := $(PEFT_VENV)/.installed

.PHONY: demo test test-slow test-peft lint format bench wheel-check venv clean

demo: $(INSTALLED)  ## the main job on the embedded tiny model: a real zip in, a published adapter out
	@$(BIN)/secdaemon demo

test: $(INSTALLED)  ## the tests that belong to every change
	$(BIN)/python -m pytest -q

test-slow: $(INSTALLED)  ## the long proofs: many kills, real training, the model recipe
	$(BIN)/python -m pytest -q -m slow

test-peft: $(PEFT_INSTALLED)  ## the PEFT form answers as the MLX form does, by torch and peft in an environment of their own
	$(PEFT_VENV)/bin/python -m pytest -q tests/pipeline/training/test_peft_logits.py

lint: $(INSTALLED)  ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)  ## prints the measured ratios
	$(BIN)/python -m benchmarks

wheel-check: $(INSTALLED)  ## the built wheel works without the source tree and the dev dependencies
	sh .ci/wheel-check $(BIN)/python

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found on PATH"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(PEFT_INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PEFT_PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found on PATH"; exit 1; }
	$(PEFT_PYTHON) -m venv $(PEFT_VENV)
	$(PEFT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' torch==2.13.0 peft==0.21.2
	@touch $@

clean:
	rm -rf $(VENV) $(PEFT_VENV) build dist *.egg-info
