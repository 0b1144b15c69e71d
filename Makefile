# crm_profile: customer profiles inside PostgreSQL.  `make help` lists the targets.
EXTENSION = crm_profile
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" crm_profile.control)
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

# Targets that are not PGXS's. Its own `check` only says that it is not supported, so PGXS is not read when one of these is asked for;
# nor can it be on a machine that still lacks it. Then the PGXS targets go to a second make, after the set-up.
OWN = help check demo try bench fuzz format dist site
BUILD = all install uninstall installcheck installdirs clean distclean

# A tree that cannot be written, such as one on a medium or of another user, is copied and built elsewhere
ifneq ($(shell test -w . && echo writable),writable)

GOALS = $(or $(MAKECMDGOALS),all)
COPY = $(or $(TMPDIR),/tmp)/crm_profile-$(shell id -un)
.PHONY: $(GOALS)
.NOTPARALLEL:
$(GOALS):
	@mkdir -p '$(COPY)' && cp -R --no-preserve=ownership ./. '$(COPY)/' && chmod -R u+w '$(COPY)'
	@echo 'crm_profile: this folder cannot be written, so all is done in $(COPY)'
	@$(MAKE) --no-print-directory -C '$(COPY)' $@

else ifeq ($(filter $(OWN),$(MAKECMDGOALS))$(if $(PGXS),,no PGXS),)

MODULE_big = $(EXTENSION)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(wildcard sql/$(EXTENSION)--*--*.sql)

PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
# -Bsymbolic: calls inside the library stay inside; the server loads extensions into one name space
SHLIB_LINK = -Wl,-Bsymbolic -Wl,--as-needed -lm
ifdef SANITIZE
PG_CFLAGS += -fsanitize=undefined -fno-sanitize-recover=undefined
SHLIB_LINK += -fsanitize=undefined
endif

REGRESS = $(sort $(patsubst sql_tests/sql/%.sql,%,$(wildcard sql_tests/sql/*.sql)))
# slot_races needs wal_level = logical, which the server of `make check` has
ISOLATION = $(filter-out slot_races,$(sort $(patsubst sql_tests/specs/%.spec,%,$(wildcard sql_tests/specs/*.spec))))
# from PostgreSQL 16 on expected/ has an option of its own; 15 looks for it in the input directory, where a link is
EXPECTED = $(if $(filter-out 15,$(MAJORVERSION)),--expecteddir=.)
REGRESS_OPTS = --inputdir=sql_tests --outputdir=build/installcheck $(EXPECTED) --load-extension=$(EXTENSION) --launcher=tools/psql-with-sqlstate
ISOLATION_OPTS = --inputdir=sql_tests --outputdir=build/installcheck/isolation $(EXPECTED) --load-extension=$(EXTENSION)
EXTRA_CLEAN = $(EXTENSION)--*.sql build

# JIT bitcode where its compiler is there; `make with_llvm=no` leaves it out
CLANG_OF_PG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v '$(CLANG_OF_PG)'),)
override with_llvm = no
endif

include $(PGXS)

# the database of `make check`, so that messages which name it are the same
CONTRIB_TESTDB = regress_crm_profile
ISOLATION_TESTDB = regress_crm_profile

# the portable kernel is written for the compiler to vectorise
src/profile/distance_kernels.o: CFLAGS += $(CFLAGS_VECTORIZE)

ifneq ($(shell test $(MAJORVERSION) -ge 15 && echo fits),fits)
$(error crm_profile needs PostgreSQL 15 or newer, $(PG_CONFIG) belongs to $(VERSION))
endif

PIECES = $(sort $(wildcard sql/[0-9]*.sql))
$(DATA_built): $(PIECES) $(wildcard sql/templates/*.sql) tools/expand-sql build/made_with
	tools/expand-sql $(PIECES) >$@.new && mv $@.new $@

# Everything is made anew when the server, the compiler, a flag or the list of files is another than last time
MADE_WITH = $(VERSION) $(CC) $(CFLAGS) $(CPPFLAGS) $(OBJS) $(PIECES)
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h) build/made_with
build/made_with: FORCE
	@tools/setup build
	@mkdir -p build
	@echo '$(MADE_WITH)' | cmp -s - $@ || echo '$(MADE_WITH)' >$@
.PHONY: FORCE

installcheck: build/installcheck/isolation
build/installcheck/isolation:
	@mkdir -p $@

else

.PHONY: $(OWN) $(BUILD)
.NOTPARALLEL:

$(filter-out clean distclean,$(BUILD)):
	@tools/setup build
	@$(MAKE) --no-print-directory $@
clean distclean:
	@$(if $(PGXS),$(MAKE) --no-print-directory $@,rm -rf build $(EXTENSION)--*.sql src/*.o src/*.bc src/*/*.o src/*/*.bc *.so)

help:
	@echo 'make            build the extension'
	@echo 'make install    install it into the PostgreSQL of $$PG_CONFIG (default: pg_config in PATH)'
	@echo 'make demo       show it at work on real orders, in a throwaway cluster'
	@echo 'make try        a psql prompt with the demo'"'"'s tables, in a throwaway cluster: docs/tutorial.md'
	@echo 'make check      build it and run every test in throwaway clusters; SANITIZE=1: under UBSan'
	@echo 'make installcheck  run the SQL and isolation tests against the running server (PGHOST, PGPORT, PGUSER)'
	@echo 'make fuzz       give damaged values to every input and receive function, for some minutes, under UBSan; FUZZ_ROUNDS, FUZZ_SEED'
	@echo 'make bench      measure it against plain SQL, in a throwaway cluster'
	@echo 'make format     bring the C sources into shape with clang-format'
	@echo 'make site       the documentation as a static site, in build/site'
	@echo 'make dist       write $(EXTENSION)-$(EXTVERSION).zip for PGXN from the committed tree'
	@echo 'make clean      remove what was built'

check:
	@tools/setup test
	@tools/check $(TESTS)

demo:
	@tools/setup run
	@tools/with-cluster demo/run

try:
	@tools/setup run
	@tools/with-cluster demo/try

# A server set up for measuring: nothing in the background, no plan other than the one that is measured
bench:
	@tools/setup run
	@tools/with-cluster -c shared_buffers=1GB -c max_wal_size=16GB -c checkpoint_timeout=1h -c autovacuum=off -c jit=off bench/run

# Under the sanitizer, hence a build of its own each time; another seed tries other values
FUZZ_ROUNDS = 50000
FUZZ_SEED = 1
fuzz: export SANITIZE = 1
fuzz:
	@tools/setup run
	@tools/with-cluster tools/run-fuzz -n $(FUZZ_ROUNDS) -s $(FUZZ_SEED) $(FUZZ)

format:
	@tools/setup format
	clang-format -i $(wildcard src/*.[ch] src/*/*.[ch])

site:
	@tools/setup site
	@rm -rf build/site
	@tools/make-site build/site
	@echo 'The documentation, for a browser: $(CURDIR)/build/site/index.html'

dist:
	@git rev-parse --verify -q HEAD >/dev/null || { echo 'crm_profile: make dist packs what is committed, and this is no clone with git' >&2; exit 1; }
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ -o $(EXTENSION)-$(EXTVERSION).zip HEAD

endif
