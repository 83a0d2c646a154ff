.PHONY: help setup lab

help:
	@echo "make lab     set everything up, then open JupyterLab on the lessons"
	@echo "             LAB_ARGS='--no-browser --port=9999' is passed on to JupyterLab"
# BEGIN STAFF
	@echo "make site    make the course's pages in dist/site, for reading without running (some minutes the first time)"
	@echo "             SITE_ARGS='--solutions gan_math' is passed on to autograder site"
	@echo "make test    set everything up, then run all tests (half an hour and more)"
	@echo "             TEST_ARGS='tests/test_check.py -x' is passed on to pytest"
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
.PHONY: site test gpu
site: setup
	@.venv/bin/autograder site $(SITE_ARGS)

# These judge and calculate, and no time of theirs matters: two at once. The rest sets limits in seconds, and has the machine to itself.
AT_ONCE = tests/test_gate.py tests/test_calibration.py tests/test_build.py tests/test_broken.py tests/test_explore.py tests/test_data.py \
	tests/test_crowd.py tests/test_crowd_data.py tests/test_data_parallel.py tests/test_carried.py tests/test_demo.py tests/test_accessibility.py
test: setup
ifdef TEST_ARGS
	@.venv/bin/python -m pytest $(TEST_ARGS)
else
	@.venv/bin/python -m pytest -n 2 $(AT_ONCE); first=$$?; \
	.venv/bin/python -m pytest $(AT_ONCE:%=--ignore=%) && exit $$first
endif

gpu: setup
	@.venv/bin/python -m tests.gpu $(GPU_ARGS)
# END STAFF
