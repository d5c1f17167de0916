# README's commands. Each installs the Debian packages it needs, builds, and runs.
SHELL := /bin/bash
.PHONY: all build release demo lab-demo vm-demo test unit judge lab faults fuzz mutants bench lint imports deps-build clean

# Package.swift says what this does and costs. TUFF_OPTIMIZED= leaves it out, for those who build and test with plain `swift
# build`: other flags compile the program again.
export TUFF_OPTIMIZED ?= 1
SWIFT_BUILD := swift build
BIN := .build/debug
# One line on a crash instead of an interactive backtrace.
export SWIFT_BACKTRACE := enable=no

all: build

deps-build:
	@contrib/debian-packages build

build: deps-build
	$(SWIFT_BUILD)

# The binary to install: Swift's and C++'s runtime linked in, symbols stripped. The folder holds nothing but the archive,
# so that the linker finds it before the shared library. With a section for each function the linker leaves out those that
# nobody calls, and keeps one of several whose code is the same and whose addresses nobody compares (2 MB). Optimized for
# size, which saves 2 MB more: plans take 3 % longer for it, backups and restores no longer than they vary from run to run.
# The same for C (-Oz) saves 0.2 MB of BoringSSL, whose long loops are assembler; that it throws nothing, and so needs no tables for
# unwinding, 40 KB; texts that are the end of others 12 KB.
SECTIONS := -Xcc -Oz -Xcxx -fno-exceptions -Xcxx -fno-asynchronous-unwind-tables -Xlinker -O2 -Xswiftc -Osize -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections -Xcc -fdata-sections -Xlinker --icf=safe
release: deps-build
	@mkdir -p .build/c++ && ln -sf "$$(cc -print-file-name=libstdc++.a)" .build/c++/
	$(SWIFT_BUILD) -c release --static-swift-stdlib $(SECTIONS) --product tuff
	strip -o .build/release/tuff.stripped .build/release/tuff

demo: build
	@contrib/debian-packages demo
	@examples/demo/run $(BIN)/tuff

lab-demo: build
	@contrib/debian-packages lab
	@examples/demo/lab $(BIN)/tuff

vm-demo: build
	@contrib/debian-packages lab vm
	@examples/demo/vm $(BIN)/tuff

test: unit judge lab

# Tests of workers, jobs and commands, which have deadlines.
TIMED := 'Tuff(Host|Controller|Drivers)Tests\.\w*(Job|Worker|Command|PrivateMounts|HostLock|Condition|LVMS)'

# Runs of their own: tests that have deadlines wait for no others, tests of the program wait for it in threads, and
# tests of images need the processor. Faults, those of repositories among them, have theirs with `make faults`.
unit: deps-build
	@contrib/debian-packages demo images
	$(SWIFT_BUILD) --build-tests
	swift test --skip-build --filter $(TIMED)
	swift test --skip-build --filter 'Tuff(Host|Controller)Tests\.' --skip $(TIMED)
	swift test --skip-build --skip $(TIMED) --skip \
		'TuffHostTests\.|TuffControllerTests\.|TuffCLITests\.|TuffFaultTests\.|TuffImagesTests\.|TuffRepositoryTests\.(KillTests|CrowdTests|MutationTests)'
	SCALE_GIB=2 swift test --skip-build --filter 'TuffRepositoryTests\.ScaleTests'
	swift test --skip-build --filter 'TuffCLITests\.'
	swift test --skip-build --filter 'TuffImagesTests\.'

# Outside judges: Python's jsonschema of schemas and validation, croniter and zoneinfo of schedules, and of repositories a second
# reader that was written from docs/repository-format.md alone.
judge: build
	@contrib/debian-packages judge
	/usr/bin/python3 Tests/Judge/judge.py $(BIN)/tuff
	/usr/bin/python3 Tests/Judge/schedule.py
	/usr/bin/python3 Tests/Judge/repository.py $(BIN)/tuff

# The same contract suites and whole stories on a real kernel with LVM and LIO, in User Mode Linux.
lab: deps-build
	@contrib/debian-packages lab
	$(SWIFT_BUILD) --build-tests
	Tests/Lab/run-suite

# Injected faults under the eye of an oracle: docs/reliability/README.md.
MINUTES ?= 60
faults: deps-build
	@contrib/debian-packages judge lab faults
	$(SWIFT_BUILD) --build-tests
	Tests/Faults/run $(MINUTES)

# Hostile files for the readers of backups, so many seconds for each of six readers.
SECONDS_EACH ?= 60
fuzz: build
	Tests/Fuzz/run $(SECONDS_EACH)

# Controllers with one deliberate fault each, all of which the harness must notice.
mutants: deps-build
	$(SWIFT_BUILD) --build-tests
	FAULTS_MUTANTS=1 swift test --skip-build --filter 'TuffFaultTests\.MutantTests'

bench: release
	@contrib/debian-packages lab bench
	bench/run

lint:
	swift format lint --strict --recursive Package.swift Sources Tests
	.ci/imports
	.ci/style

clean:
	swift package clean
