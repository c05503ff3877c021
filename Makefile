# make demo: all the set-up, then the main job. make test: all the set-up, then the tests.
# make check is what CI runs. make bench measures. make soak tries for long what the tests try shortly.
SHELL := /bin/bash
GO ?= go
SOAK ?= 10m

# versitygw is the S3 server of the tests, at this version: bin/tools is not in the module.
VERSITYGW := v1.8.0

# CLIENTS are PostgreSQL's, of the tests, as Debian calls them; psql comes with the server, and JDBC needs a JDK.
CLIENTS := python3-psycopg2 python3-sqlalchemy python3-pyodbc odbc-postgresql libpostgresql-jdbc-java

.PHONY: all build demo test check bench amplab soak fuzz compiler tools codemirror uplot clean
all: build

build: compiler
	$(GO) build -o bin/arbalest ./cmd/arbalest

demo: build
	bin/arbalest demo

test: tools
	$(GO) test -timeout 20m ./...

# The C compiler is for DuckDB, which is linked in. Root on Debian gets it installed; others are told.
compiler:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer from https://go.dev/dl, then run make again"; exit 1; }
	@if ! command -v $${CXX:-g++} >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq g++ >/dev/null; \
	  else echo "A C++ compiler is missing: install one (Debian: sudo apt-get install g++; macOS: xcode-select --install), then run make again"; exit 1; fi; fi

# PostgreSQL, its clients, RabbitMQ, Chromium and versitygw are for the tests alone. Without the last four their tests are skipped, though not in CI.
tools: compiler bin/tools/versitygw-$(VERSITYGW)
	@if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; \
	  else echo "A PostgreSQL server is missing, which the tests run a private one of: install it (Debian: sudo apt-get install postgresql; macOS: brew install postgresql), then run make again"; exit 1; fi; fi
	@if ! command -v rabbitmq-server >/dev/null && ! ls /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rabbitmq-server >/dev/null; then :; \
	  else echo "RabbitMQ is not installed (Debian: sudo apt-get install rabbitmq-server): the tests on a real server of it will be skipped"; [ -z "$$CI" ]; fi; fi
	@if ! /usr/bin/python3 -c 'import psycopg2, sqlalchemy, pyodbc; assert "PostgreSQL Unicode" in pyodbc.drivers()' 2>/dev/null || ! [ -e /usr/share/java/postgresql.jar ] || ! command -v javac >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(CLIENTS) $$(command -v javac >/dev/null || echo default-jdk-headless) >/dev/null; then :; \
	  else echo "PostgreSQL's clients are not all installed (Debian: sudo apt-get install $(CLIENTS) default-jdk-headless): the tests with those will be skipped"; [ -z "$$CI" ]; fi; fi
	@if ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core >/dev/null; then :; \
	  else echo "Chromium is not installed (Debian: sudo apt-get install chromium): the test of the pages in a browser will be skipped"; [ -z "$$CI" ]; fi; fi

bin/tools/versitygw-$(VERSITYGW):
	@echo "installing versitygw $(VERSITYGW), the S3 server of the tests, in bin/tools"
	@if GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW); then \
	  rm -f bin/tools/versitygw-v* && touch $@; \
	else echo "versitygw cannot be installed: the tests on a real S3 server will be skipped"; [ -z "$$CI" ]; fi

check: tools
	@dirty=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$dirty" ] || { echo "not gofmt-ed: $$dirty"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -race -short -shuffle=on -timeout 20m $$($(GO) list ./... | grep -v -e /e2e -e /bench/cost)   # short: fewer rounds of the same, as all of them ran in make test; e2e runs the built program, which is not raced; the model of cost takes six minutes

# Every decoder, for FUZZTIME each; FUZZIN are the folders. CI fuzzes all of them for a short while.
# A count of tries, not seconds: when its seconds are over, `go test` now and then calls that a failure ("context deadline exceeded").
FUZZIN ?= .
fuzz:
	@for file in $$(grep -rl '^func Fuzz' --include=*_test.go $(FUZZIN)); do \
	  for target in $$(grep -o '^func Fuzz[A-Za-z0-9]*' $$file | sed 's/func //'); do \
	    echo "== $$(dirname $$file) $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-40000x} -fuzzminimizetime 50x ./$$(dirname $$file) || exit 1; done; done

bench: build
	$(GO) run ./bench

# The AMPLab Big Data Benchmark on DuckDB and PostgreSQL. SCALE 1 is its data for one node: 155 million visits.
SCALE ?= 0.01
amplab: tools
	$(GO) run ./bench/amplab -scale $(SCALE)

soak: build
	ARBALEST_SOAK=$(SOAK) $(GO) test -count=1 -timeout 0 -run 'Soak|Kill|Cut|Metamorphic' -v ./e2e ./cmd/arbalest ./pipeline

# The SQL page's editor, of npm's packages, as one file that is committed: for whoever changes its version. Needs Node.
codemirror:
	cd internal/web/codemirror && npm ci --ignore-scripts && node build.mjs

# The pages' charts, from npm at this version, with its licence.
UPLOT := 1.6.32
uplot:
	cd internal/web/assets/vendor && tgz=$$(npm pack --silent uplot@$(UPLOT)) && tar xzf $$tgz && rm $$tgz && \
	  mv package/dist/uPlot.iife.min.js uPlot.js && mv package/dist/uPlot.min.css uPlot.css && mv package/LICENSE uPlot.LICENSE.txt && rm -r package

clean:
	rm -rf bin
