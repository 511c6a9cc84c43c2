# Every target does its own set-up: a fresh clone needs nothing but make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONUNBUFFERED := 1
# Ansible insists on UTF-8, which a bare container does not set.
export LC_ALL := C.UTF-8

COLLECTION := build/collections/ansible_collections/llmops/platform
CHART := roles/vllm/files/chart/vllm-deployment
MODEL_SERVER := roles/lab/files/model_server
# The tests look into the parts of the native lab, and the demo asks addresses of its cluster.
LAB_ARGS ?= -e lab_provider=native
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=

.PHONY: help setup demo test test-full test-go lint sanity lab lab-stop bench molecule build format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## System packages, Python environment, collection link
	@scripts/setup

demo: lab ## Deploy local models and the router on the embedded lab, ask them by name, disable one
	ansible-playbook playbooks/deploy.yml -i inventories/local $(DEMO_ARGS)
	ansible-playbook playbooks/router.yml -i inventories/local
	scripts/demo.py

# The lab comes first because linting the chart uses its Helm instead of building another.
test: lab lint test-go ## All tests: lint, unit, chart, integration on the lab, molecule, installed artefact
	pytest $(PYTEST_ARGS)

test-full: lab lint test-go ## The same with the long cases too
	pytest -m 'not bench' $(PYTEST_ARGS)

test-go: setup ## The model server's own tests
	cd $(MODEL_SERVER) && go vet ./... && go test ./...

lab: setup ## Start the lab: a real cluster, PostgreSQL and Redis on this machine
	ansible-playbook playbooks/lab.yml $(LAB_ARGS)

lab-stop: setup ## Stop the lab; nothing is left running
	ansible-playbook playbooks/lab.yml -e lab_state=absent

lint: setup ## Every static check
	scripts/lint

format: setup ## Put Python files into shape
	ruff check --fix --quiet . ; ruff format .

sanity: setup ## ansible-test sanity on a copy of the checkout
	scripts/sanity

molecule: lab ## Play the molecule scenario on the lab
	molecule test

bench: lab ## Measure against kubernetes.core, write build/bench.json
	python -m tests.bench $(BENCH_ARGS)

build: setup ## Make the Galaxy artefact in build/
	@mkdir -p build
	ansible-galaxy collection build --force --output-path build .

clean: ## Remove what make made (the lab keeps running: see lab-stop)
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
