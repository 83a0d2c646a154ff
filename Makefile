.PHONY: help setup lab

help:
	@echo "make lab     set everything up, then open JupyterLab on the lessons"
	@echo "             LAB_ARGS='--no-browser --port=9999' is passed on to JupyterLab"
# BEGIN STAFF
	@echo "make site    make the course's pages in dist/site, for reading without running (some minutes the first time)"
	@echo "             SITE_ARGS='--solutions gan_math' is passed on to autograder site"
	@echo "make test    set everything up, then run all tests (about half an hour)"
	@echo "             TEST_ARGS='tests/test_check.py -x' is passed on to pytest"
	@echo "make bench   measure what docs/results.md says, as far as it isn't kept (hours, if nothing is; Ctrl-C, and it goes on the next time)"
	@echo "             BENCH_ARGS=--list says which benchmarks there are; BENCH_ARGS='--again quickness' measures one anew"
	@echo "make gpu     everything that needs a GPU, in one table and in build/gpu.json (twelve minutes at most)"
	@echo "             GPU_ARGS='sandbox' is passed on: only the parts whose names begin so"
# END STAFF
	@echo "make setup   only set up: builds .venv, about 6 GB, half a minute to some minutes;"
	@echo "             costs nothing when it is already there"

setup:
	@sh setup.sh

lab: setup
	@.venv/bin/course lab -- $(LAB_ARGS)

# BEGIN STAFF
.PHONY: site test bench gpu
site: setup
	@.venv/bin/autograder site $(SITE_ARGS)

# Three at once on two cores, since one of them mostly waits: tests/conftest.py says what runs beside what.
test: setup
	@.venv/bin/python -m pytest $(or $(TEST_ARGS),-n 3)

bench: setup
	@.venv/bin/python -m tests.benchmarks $(BENCH_ARGS)

gpu: setup
	@.venv/bin/python -m tests.gpu $(GPU_ARGS)
# END STAFF
