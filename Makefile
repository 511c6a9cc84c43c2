# Every target does its own set-up: a fresh clone needs nothing but make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONUNBUFFERED := 1
# What scripts/timed notes, one file for each run of make.
ifndef TIMINGS
export TIMINGS := $(CURDIR)/build/timings.$(shell date +%s)-$(shell echo $$PPID)
endif
# Ansible insists on UTF-8, which a bare container does not set.
export LC_ALL := C.UTF-8

COLLECTION := build/collections/ansible_collections/llmops/platform
CHART := roles/vllm/files/chart/vllm-deployment
# The tests look into the parts of the native lab, and the demo asks addresses of its cluster.
LAB_ARGS ?= -e lab_provider=native
PARTS ?=
PYTEST_ARGS ?=
SANITY_ARGS ?=
BENCH_ARGS ?=
RELEASE_ARGS ?=

.PHONY: help setup demo test test-full lint sanity sanity-matrix lab lab-for-tests lab-stop bench molecule isolation build \
	release format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## System packages, Python environment, collection link
	@scripts/timed setup scripts/setup

demo: lab ## On the embedded lab: deploy to staging, promote to production through gates, and see a bad version take itself back
	scripts/timed staging ansible-playbook playbooks/environment.yml -i inventories/local -e lab_environment=staging
	scripts/timed production ansible-playbook playbooks/environment.yml -i inventories/local -e lab_environment=production
	scripts/timed router ansible-playbook playbooks/router.yml -i inventories/local -e lab_environment=production
	scripts/timed promote scripts/demo.py
	@scripts/timed --report

# The tests and the benchmark compare with Helm 3 too.
lab-for-tests: setup
	scripts/timed lab ansible-playbook playbooks/lab.yml $(LAB_ARGS) -e lab_helm3=true

# What ends badly says where the time went as well.
TIMED_TESTS = scripts/timed test python -m tests.lanes $(1) $(PARTS) -- $(PYTEST_ARGS) && status=0 || status=$$?; \
	scripts/timed --report; exit $$status

test: lab-for-tests ## All checks and tests; PARTS="unit chart" for some (python -m tests.lanes --help)
	@$(call TIMED_TESTS,)

test-full: lab-for-tests ## The same with the long cases too
	@$(call TIMED_TESTS,--full)

lab: setup ## Start the lab: a real cluster, PostgreSQL and Redis on this machine
	scripts/timed lab ansible-playbook playbooks/lab.yml $(LAB_ARGS)

lab-stop: setup ## Stop the lab; nothing is left running
	ansible-playbook playbooks/lab.yml -e lab_state=absent

lint: setup ## Every static check
	scripts/lint

format: setup ## Put Python files into shape
	ruff check --fix --quiet . ; ruff format .

sanity: setup ## ansible-test sanity on the artefact (SANITY_ARGS="--core 2.20" for another ansible-core)
	scripts/sanity $(SANITY_ARGS)

sanity-matrix: setup ## The same with every ansible-core that is supported; make test-full does that too
	scripts/sanity --matrix $(SANITY_ARGS)

molecule: lab ## Play the molecule scenario on the lab
	molecule test

isolation: lab ## Print who reaches whom between two environments on the lab
	python -m tests.support.isolation

bench: lab-for-tests ## Measure against kubernetes.core, write build/bench.json
	python -m tests.bench $(BENCH_ARGS)

build: setup ## Make the Galaxy artefact in build/
	scripts/build

release: setup ## All that a release consists of, in build/release: signed, verified, not pushed (RELEASE_KEY names the key)
	python scripts/release.py $(RELEASE_ARGS)

clean: ## Remove what make made (the lab keeps running: see lab-stop)
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
