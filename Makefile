# The chores of the house. `make run` and `make test` do all their own set-up on a bare machine with Python >= 3.11.
PORT ?= 8000
DATA ?= var
# ML=0 leaves torch, its companions and the model files out: everything runs but the embedded models
ML ?= 1
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
READY := $(VENV)/.ready-ml$(ML)
# What the tests alone need: others' clients
CLIENTS := $(VENV)/clients/.ready
# The rows of docs/proofs.md, and what else has a longer form by night
PROOFS := tests/proof tests/test_permissions.py tests/admin/test_faces.py tests/admin/test_hostile_queries.py \
	tests/gateway/test_nonsense_in_fields.py tests/gateway/test_nonsense_in_answers.py \
	tests/usage/test_pricing.py tests/usage/test_budget_rules.py
# Not made when a download failed, so that the next start tries again.
MODELS := $(if $(filter 1,$(ML)),.models/.ready)

# Processes that are started again and again find what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check bench proof messages lock clean format

run: $(READY) $(MODELS)
	@$(BIN)/python manage.py up --port $(PORT) --data $(DATA) $(ARGS)

test: $(READY) $(CLIENTS)
	@tests/run.sh $(ARGS)

check: $(READY) $(CLIENTS)
	@requirements/check.sh

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

proof: $(READY) $(CLIENTS)
	@ATRIUM_PROOF=night $(BIN)/python -m pytest $(PROOFS) --timeout=14400 $(ARGS)

messages: $(READY)
	@$(BIN)/python -m config.messages update

format: $(READY)
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

lock: $(READY) $(CLIENTS)
	@requirements/lock.sh --upgrade

clean:
	rm -rf $(VENV) .models .pytest_cache .ruff_cache .mypy_cache *.egg-info

$(READY): pyproject.toml requirements/lock.txt requirements/lock-ml.txt requirements/install.sh
	@PYTHON="$(PYTHON)" ML="$(ML)" requirements/install.sh
	@touch $@

$(CLIENTS): requirements/clients/lock.txt requirements/clients/package-lock.json requirements/clients/install.sh | $(READY)
	@requirements/clients/install.sh
	@touch $@

$(MODELS): requirements/models.txt requirements/fetch_models.py | $(READY)
	@$(BIN)/python requirements/fetch_models.py

# Translations are compiled when their sources are newer.
$(READY): $(wildcard locale/*/LC_MESSAGES/django.po)
