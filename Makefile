# Everything runs in .venv, which `make install` makes. All paths are relative, and tools are started as
# modules of .venv/bin/python, so that a clone in a folder with a space in its name works like any other.

# The Python that .venv is made with; `make install PYTHON=/path/to/python` overrides the search.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3)
VENV_PYTHON := .venv/bin/python
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install check browser test docs screens demo bench format lock clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

install: $(STAMP) ## Make .venv with the package, its extras and the tools, as pinned.

$(STAMP): pyproject.toml constraints.txt
	@if ! $(VENV_PYTHON) -c "import pip" 2>/dev/null; then \
		for python in $(CANDIDATES); do \
			if "$$python" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
				found="$$python"; break; \
			fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "No Python >= 3.11 with venv among: $(subst ",,$(CANDIDATES))." >&2; \
			echo "Install one (Debian, Ubuntu: apt install python3 python3-venv)," \
				"or name it: make install PYTHON=/path/to/python" >&2; \
			exit 1; \
		fi; \
		echo "Making .venv with $$("$$found" --version)"; \
		"$$found" -m venv --clear .venv; \
	fi
	@echo "Installing the pinned packages into .venv (a minute or two the first time)"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

check: install ## Format, lint, types and import contracts, changing nothing.
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m basedpyright
	$(VENV_PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

browser: ## Install Chromium for the tests of the pages, where apt can do it.
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "There is no Chromium and it cannot be installed from here: the tests of the pages are skipped."; \
	fi

test: install ## Run the tests.
	$(VENV_PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

docs: install ## Build the documentation into build/site.
	@$(VENV_PYTHON) -m typer agl_adapters.cli.commands utils docs --name agl \
		--title "Every option" --output docs/cli.md
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --quiet

screens: install ## Make the pictures of docs/images anew, in Chromium.
	$(VENV_PYTHON) benchmarks/screens.py

demo: install ## Optimize the example's LangGraph program against the simulated model.
	@$(VENV_PYTHON) -c "from agl_adapters.cli import main; main()" demo

bench: install ## Run the short benchmarks; docs/benchmarks.md tells of the long one.
	@for script in $(filter-out benchmarks/bench_peers.py,$(wildcard benchmarks/bench_*.py)); do echo "== $$script"; $(VENV_PYTHON) "$$script" || exit 1; done

format: install ## Format, and apply the linter's safe fixes.
	$(VENV_PYTHON) -m ruff check --fix-only .
	$(VENV_PYTHON) -m ruff format .

lock: install ## Upgrade .venv within pyproject.toml and pin the result in constraints.txt.
	$(PIP) install --upgrade --upgrade-strategy eager --editable '.[dev]'
	{ echo "# The tested set, names and versions only. Made by: make lock"; \
		$(PIP) freeze --exclude-editable; } > constraints.txt
	touch $(STAMP)

clean: ## Remove .venv, builds and caches.
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
