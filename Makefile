# Everything here is `python -m psembed ...`, which Windows users without make can type themselves.
# `make reproduce PYTHON=python` uses an environment of your own (conda, say) instead of .venv.

PROFILE ?= control

ifdef PYTHON
RUN := $(PYTHON) -m psembed
else
RUN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python,.venv/bin/python) -m psembed
BASE := $(or $(shell command -v python3.11 2>/dev/null),$(shell command -v python3 2>/dev/null),\
	$(if $(filter Windows_NT,$(OS)),py -3.11,python))
ENVIRONMENT := setup
endif

.DEFAULT_GOAL := help
.PHONY: help setup reproduce paper lab notebooks test lint lock site bench dotnet

help:  ## show this
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

setup:  ## make .venv from requirements.lock, or bring it up to date
	@$(or $(BASE),$(PYTHON)) -m psembed setup

reproduce: $(ENVIRONMENT)  ## all notebooks, figures and the paper; PROFILE=smoke|control|public
	$(RUN) reproduce $(PROFILE)

paper: $(ENVIRONMENT)  ## tables, figures and PDF from the committed scores and results
	$(RUN) paper

lab: $(ENVIRONMENT)  ## JupyterLab on the notebooks, from their start page
	$(RUN) lab

notebooks: $(ENVIRONMENT)  ## every notebook as a reader runs it: plain papermill, from a clean work folder
	$(RUN) notebooks

test: $(ENVIRONMENT)  ## all tests
	$(RUN) test

lint: $(ENVIRONMENT)  ## style, format, imports and types
	$(RUN) lint

lock: $(ENVIRONMENT)  ## requirements.lock anew from pyproject.toml
	$(RUN) lock

site: $(ENVIRONMENT)  ## notebooks, docs, figures and paper as a site in work/site
	$(RUN) site

bench: $(ENVIRONMENT)  ## speed of tokenising, training and scoring
	$(RUN) bench

dotnet: $(ENVIRONMENT)  ## ML.NET's scores beside Python's, without the SDK (apt-get install mono-mcs)
	$(RUN) dotnet
