# crm_profile: customer profiles inside PostgreSQL
EXTENSION = crm_profile
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" crm_profile.control)
MODULE_big = $(EXTENSION)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(wildcard sql/$(EXTENSION)--*--*.sql)

SHLIB_LINK = -Wl,--as-needed -lnlopt -lm
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers

REGRESS = $(sort $(patsubst sql_tests/sql/%.sql,%,$(wildcard sql_tests/sql/*.sql)))
REGRESS_OPTS = --inputdir=sql_tests --outputdir=build --load-extension=$(EXTENSION)
EXTRA_CLEAN = $(DATA_built)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(DATA_built): $(sort $(wildcard sql/[0-9]*.sql))
	cat $^ >$@

$(OBJS): $(wildcard src/*.h)
