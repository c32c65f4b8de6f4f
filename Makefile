# EdgeVoice: `make demo` on a fresh machine is enough. `make help` tells the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
VERSIONS := 3.10 3.11 3.12 3.13
APT    := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get

# To try it out, a container's own disk will do.
export EDGEVOICE_ALLOW_EPHEMERAL ?= true

# Many processes are started, and what one has compiled the others need not.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo run test lint audit bench chaos clean system python model

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target meaning; do \
	    printf '  make %-7s %s\n' "$$target" "$$meaning"; done

setup: $(VENV)/installed model ## Install what is missing: system packages, .venv, the demo's model

demo: setup ## Ask it four questions, typed and spoken, over MQTT and HTTP
	@$(BIN)/edgevoice demo

run: setup ## Start broker, agent and bridge, until Ctrl-C
	@$(BIN)/edgevoice up

# Several at once, a file each: most tests wait for processes rather than compute.
test: setup $(VENV)/engines lint ## Everything that is checked, here and in CI, on every Python at hand
	$(BIN)/pytest -n 3 --dist loadfile
	@$(MAKE) --no-print-directory -j3 --output-sync=line $(addprefix test-,$(VERSIONS))

# The others run what depends on the interpreter; they need no more than the package itself.
test-3.%: $(VENV)/installed
	@python=; for candidate in python3.$* $(HOME)/.pyenv/versions/3.$*.*/bin/python; do \
	    "$$candidate" -c '' 2>/dev/null && python=$$candidate && break; done; \
	if test -z "$$python"; then echo "==> No Python 3.$* here: not tested on it"; exit 0; fi; \
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[1] != $*)'; then exit 0; fi; \
	echo "==> Tests on Python 3.$*"; \
	test $(VENV)-3.$*/installed -nt pyproject.toml || { \
	    "$$python" -m venv $(VENV)-3.$* && \
	    $(VENV)-3.$*/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
	    $(VENV)-3.$*/bin/pip install --quiet --disable-pip-version-check --editable . --group dev && \
	    touch $(VENV)-3.$*/installed; } && \
	$(VENV)-3.$*/bin/pytest -q -m 'not embedded and not engines and not once'

lint: $(VENV)/engines ## Style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

audit: $(VENV)/installed ## Known flaws in what is installed, and patterns in our code that often are one
	@$(BIN)/pip install --quiet --disable-pip-version-check --group audit
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive agent bridge
	@found=$$($(BIN)/pip-audit --local --skip-editable --progress-spinner off 2>&1); status=$$?; echo "$$found"; \
	case "$$found" in *'could not be audited: pydantic '*) \
	    echo "==> Nothing was looked up: the advisories of pypi.org cannot be reached from here" >&2; exit 1; esac; \
	exit $$status

bench: setup $(VENV)/bench ## Measure it beside what one would use instead: tables, figures, pictures
	@$(BIN)/python -m benchmarks

chaos: setup ## Kill everything at random for MINUTES (6), and judge what came of it; the seed is shown, SEED sets it
	@$(BIN)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))
	EDGEVOICE_LONG=1 $(BIN)/pytest -q tests/hostile

clean: ## Remove what `make` made in this folder; models stay
	rm -rf $(VENV) $(VENV)-3.* $(VENV)-peers build dist .edgevoice .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The broker that Debian's package may start on port 1883 is left alone: ours has a free port of its own.
system:
	@missing=; \
	PATH="$$PATH:/usr/local/sbin:/usr/sbin:/sbin"; \
	command -v mosquitto >/dev/null && command -v mosquitto_passwd >/dev/null || missing="$$missing mosquitto"; \
	command -v mosquitto_pub >/dev/null || missing="$$missing mosquitto-clients"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	ldconfig -p | grep -q 'libflite\.so\.1 ' || missing="$$missing libflite1"; \
	ldconfig -p | grep -q 'libgomp\.so\.1 ' || missing="$$missing libgomp1"; \
	command -v $(PYTHON) >/dev/null || missing="$$missing python3"; \
	test -d $(VENV) || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	test -n "$$missing" || exit 0; \
	command -v apt-get >/dev/null || { echo "Please install, by your system's own means:$$missing" >&2; exit 1; }; \
	echo "==> System packages:$$missing"; \
	$(APT) update -q && $(APT) install -q -y --no-install-recommends $$missing

python: system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "EdgeVoice needs Python 3.10 or later; this is $$($(PYTHON) --version)." \
	         "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

$(VENV)/installed: pyproject.toml | system python
	@echo "==> Python packages, into $(VENV) (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --disable-pip-version-check --progress-bar off --editable '.[embedded]' --group dev
	@touch $@

# Every engine that a package index has, for the tests of their leaves; not needed to run the demo.
$(VENV)/engines: $(VENV)/installed
	@missing=; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v jq >/dev/null || missing="$$missing jq"; \
	test -z "$$missing" || ! command -v apt-get >/dev/null || { \
	    echo "==> System packages, for the tests of our units and examples:$$missing" && \
	    $(APT) update -q && $(APT) install -q -y --no-install-recommends $$missing; }
	@echo "==> The other engines, for their tests (torch is large)"
	$(BIN)/pip install --disable-pip-version-check --progress-bar off --group engines \
	    --editable '.[embedded,whispercpp,coqui,openai,triton,models]'
	@touch $@

# What the benchmarks draw with, and what they compare with; a peer that cannot be had here is left out.
$(VENV)/bench: $(VENV)/installed
	@missing=; \
	for program in espeak-ng flite; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	test -z "$$missing" || ! command -v apt-get >/dev/null || { \
	    echo "==> System packages, to compare with:$$missing" && \
	    $(APT) update -q && $(APT) install -q -y --no-install-recommends $$missing; }
	@echo "==> matplotlib, which draws the pictures"
	$(BIN)/pip install --quiet --disable-pip-version-check --group bench
	@echo "==> llama_cpp.server, to compare with, into $(VENV)-peers: it is compiled, which takes some minutes"
	@$(PYTHON) -m venv $(VENV)-peers && \
	$(VENV)-peers/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
	$(VENV)-peers/bin/pip install --quiet --disable-pip-version-check --group peers || \
	    echo "==> It could not be compiled, and is left out" >&2
	@touch $@

model: $(VENV)/installed
	@$(BIN)/edgevoice models pull
