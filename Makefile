# The chores of the house. `make run` and `make test` do all their own set-up on a bare machine with Python >= 3.11.
PORT ?= 8000
DATA ?= var
# ML=0 leaves torch and its companions out: everything runs but the demo model
ML ?= 1
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
READY := $(VENV)/.ready-ml$(ML)

# Processes that are started again and again find what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check bench proof messages lock clean format

run: $(READY)
	@$(BIN)/python manage.py up --port $(PORT) --data $(DATA) $(ARGS)

test: $(READY)
	@tests/run.sh $(ARGS)

check: $(READY)
	@requirements/check.sh

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

proof: $(READY)
	@ATRIUM_PROOF=night $(BIN)/python -m pytest tests/proof --timeout=14400 $(ARGS)

messages: $(READY)
	@$(BIN)/python -m config.messages update

format: $(READY)
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

lock: $(READY)
	@requirements/lock.sh --upgrade

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache *.egg-info

$(READY): pyproject.toml requirements/lock.txt requirements/lock-ml.txt requirements/install.sh
	@PYTHON="$(PYTHON)" ML="$(ML)" requirements/install.sh
	@touch $@

# Translations are compiled when their sources are newer.
$(READY): $(wildcard locale/*/LC_MESSAGES/django.po)
