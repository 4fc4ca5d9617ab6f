# moonkeep: `make run` shows it, `make test` proves it, `make` builds build/moonkeep.
#
# Everything is made below build/; BUILD=dir puts it elsewhere. SANITIZE=address,undefined or SANITIZE=thread
# makes an instrumented build, EDGES=1 one whose limits are so small that every edge is crossed.

CC ?= cc
OBJCOPY ?= objcopy
BUILD ?= build
PACKAGES = lua5.4-cjson lua5.4 libuv sqlite3
OPTIMISE ?= -O2

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
  -Wwrite-strings -Wvla -Wundef
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Ihost
CFLAGS += -std=c11 -g $(OPTIMISE) $(WARNINGS) $(WERROR)
ifdef SANITIZE
CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SANITIZE)
endif
# Lua's longjmp leaves functions without their exit, and ThreadSanitizer's own call stack would overflow.
ifeq ($(SANITIZE),thread)
CFLAGS += --param tsan-instrument-func-entry-exit=0
endif
ifdef EDGES
CPPFLAGS += -DENGINE_FOLD_ROWS=1 -DENGINE_FOLD_BYTES=1 -DENGINE_STEP_ROWS=1 -DENGINE_SWEEP_ROWS=1 \
  -DCOMMIT_JOURNAL_BYTES=2000 -DCOMMIT_WAL_PAGES=3 -DKEEPER_PIN_PAGES=2 -DKEEPER_MOST_POLLS=1 -DREADER_SLICE_ROWS=1 -DREADER_BATCH_LOADS=1 -DFRONT_GROUP_BYTES=1 -DEDGE_CACHE_BYTES=1 \
  -DSTORE_ROOM_CALLS=2 -DSTORE_ROOM_BYTES=1000 -DNDJSON_SLOWED=1 -DSTORE_LEAST_PAGES=16384 -DARCHIVER_FILE_BYTES=100 -DBULK_GROUP_BYTES=1
endif

# Where `make install` puts things.
PREFIX ?= /usr/local
LUA_LIBDIR ?= $(PREFIX)/lib/lua/5.4

# What is done is said in a word; V=1 shows the commands.
Q = $(if $(V),,@)
SAY = @$(if $(V),:,printf '  %-5s %s\n')

# Asked only when something is built, so that `make deps` works before the packages are there.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES))
LIBS = $(PKG_LIBS) -lpthread -lm

SOURCES = $(wildcard host/*.c host/*/*.c)
OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY = $(filter-out $(BUILD)/host/main.o,$(OBJECTS))

TEST_SOURCES = $(wildcard tests/api/*_test.c tests/base/*_test.c tests/store/*_test.c tests/script/*_test.c tests/link/*_test.c \
  tests/history/*_test.c)
TEST_HELPERS = tests/check.c $(wildcard tests/helpers/*.c)
TESTS = $(TEST_SOURCES:%.c=$(BUILD)/%)
CHECKER = $(filter-out %_test.c,$(wildcard tests/history/*.c))

all: $(BUILD)/moonkeep

$(BUILD)/moonkeep: $(OBJECTS)
	$(SAY) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/.deps
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- the Lua module and the C library ----

# Lua's functions are weak in them: the module has to load in a program with another Lua to say that it needs 5.4.
PIC_SOURCES = $(wildcard host/host*.c host/base/*.c host/store/*.c host/script/*.c host/link/*.c host/api/*.c)
PIC_OBJECTS = $(PIC_SOURCES:%.c=$(BUILD)/pic/%.o)
PIC_CFLAGS = -std=c11 -g $(OPTIMISE) $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
# All of Lua's functions are found when it is loaded, so that a Lua that comes later takes none of them.
SHARED = -shared -Wl,--gc-sections -Wl,-z,defs -Wl,-z,now

$(BUILD)/weak.h: $(BUILD)/.deps
	$(Q)for header in lua lauxlib; do printf '#include "%s.h"\n' $$header | $(CC) $(PKG_CFLAGS) -E -; done | \
	  grep -oE '\((luaL?_[A-Za-z_]+)\) \(' | tr -d '() ' | sort -u | sed 's/^/#pragma weak /' >$@
	$(Q)echo '#pragma weak luaopen_cjson' >>$@

$(BUILD)/pic/%.o: %.c $(BUILD)/weak.h
	@mkdir -p $(@D)
	$(SAY) CC "$< (pic)"
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(PIC_CFLAGS) -DMOONKEEP_PIC -include $(BUILD)/weak.h -MMD -MP -c -o $@ $<

# The program's Lua is the module's: it is not linked with one, nor with what needs one.
$(BUILD)/moonkeep.so: $(PIC_OBJECTS) host/script/module.map
	$(SAY) LINK $@
	$(Q)$(CC) $(PIC_CFLAGS) $(SHARED) -Wl,--as-needed -Wl,--version-script=host/script/module.map -o $@ \
	  $(PIC_OBJECTS) $(filter-out -llua5.4%,$(LIBS))

$(BUILD)/libmoonkeep.so.0: $(PIC_OBJECTS) host/api/libmoonkeep.map
	$(SAY) LINK $@
	$(Q)$(CC) $(PIC_CFLAGS) $(SHARED) -Wl,-soname,libmoonkeep.so.0 -Wl,--version-script=host/api/libmoonkeep.map \
	  -o $@ $(PIC_OBJECTS) -Wl,--no-as-needed $(LIBS)

# One object, out of which only the library's own names are seen: a server may have a socket_connect of its own, too.
$(BUILD)/libmoonkeep.a: $(PIC_SOURCES:%.c=$(BUILD)/%.o)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(LD) -r -o $@.o $^ && $(OBJCOPY) --wildcard --keep-global-symbol='moonkeep_*' $@.o
	$(Q)$(AR) rcs $@ $@.o && rm -f $@.o

VERSION = $(shell sed -n 's/^#define MOONKEEP_VERSION "\(.*\)"/\1/p' include/moonkeep.h)
C_NAMES = $(shell sh host/api/manual.sh --names include/moonkeep.h)
library: $(BUILD)/libmoonkeep.so.0 $(BUILD)/libmoonkeep.a

# The program, the library and the Lua module.
install: install-program install-module library
	install -d "$(DESTDIR)$(PREFIX)/lib/pkgconfig" "$(DESTDIR)$(PREFIX)/include"
	install -m 644 include/moonkeep.h "$(DESTDIR)$(PREFIX)/include/moonkeep.h"
	install -m 755 "$(BUILD)/libmoonkeep.so.0" "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.so.0"
	ln -sf libmoonkeep.so.0 "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.so"
	install -m 644 "$(BUILD)/libmoonkeep.a" "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.a"
	install -d $(SHARE)/man/man3
	sh host/api/manual.sh include/moonkeep.h "$(VERSION)" >$(SHARE)/man/man3/moonkeep.3
	for name in $(C_NAMES); do echo ".so man3/moonkeep.3" >$(SHARE)/man/man3/$$name.3; done
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS)|' host/api/moonkeep.pc.in \
	  >"$(DESTDIR)$(PREFIX)/lib/pkgconfig/moonkeep.pc"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/moonkeep" "$(DESTDIR)$(PREFIX)/include/moonkeep.h" \
	  "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.so.0" "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.so" \
	  "$(DESTDIR)$(PREFIX)/lib/libmoonkeep.a" "$(DESTDIR)$(PREFIX)/lib/pkgconfig/moonkeep.pc" \
	  "$(DESTDIR)$(LUA_LIBDIR)/moonkeep.so" $(SHARE)/man/man1/moonkeep.1 $(SHARE)/man/man5/moonkeep.conf.5 \
	  $(SHARE)/man/man3/moonkeep.3 $(C_NAMES:%=$(SHARE)/man/man3/%.3) $(SHARE)/bash-completion/completions/moonkeep $(SHARE)/zsh/site-functions/_moonkeep \
	  $(SHARE)/fish/vendor_completions.d/moonkeep.fish $(UNITS)/moonkeep.service

module: $(BUILD)/moonkeep.so

install-module: module
	install -d "$(DESTDIR)$(LUA_LIBDIR)"
	install -m 755 "$(BUILD)/moonkeep.so" "$(DESTDIR)$(LUA_LIBDIR)/moonkeep.so"

-include $(PIC_OBJECTS:.o=.d)

# The program, with its manual and what shells need to complete it, which it makes itself, and its unit for systemd.
SHARE = "$(DESTDIR)$(PREFIX)/share"
UNITS = "$(DESTDIR)$(PREFIX)/lib/systemd/system"
install-program: $(BUILD)/moonkeep
	install -d "$(DESTDIR)$(PREFIX)/bin" $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/bash-completion/completions \
	  $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	install -m 755 "$(BUILD)/moonkeep" "$(DESTDIR)$(PREFIX)/bin/moonkeep"
	install -d $(UNITS)
	sed 's|@PREFIX@|$(PREFIX)|' host/moonkeep.service >$(UNITS)/moonkeep.service
	"$(BUILD)/moonkeep" manual moonkeep.1 >$(SHARE)/man/man1/moonkeep.1
	"$(BUILD)/moonkeep" manual moonkeep.conf.5 >$(SHARE)/man/man5/moonkeep.conf.5
	"$(BUILD)/moonkeep" completion bash >$(SHARE)/bash-completion/completions/moonkeep
	"$(BUILD)/moonkeep" completion zsh >$(SHARE)/zsh/site-functions/_moonkeep
	"$(BUILD)/moonkeep" completion fish >$(SHARE)/fish/vendor_completions.d/moonkeep.fish

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TEST_HELPERS:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(SAY) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(filter $(BUILD)/tests/history/%,$(TESTS)): $(CHECKER:%.c=$(BUILD)/%.o)

$(BUILD)/tests/%.o: CPPFLAGS += -Itests

# The history test with a fault planted in one source of the store.
MUTANT_OF = $(BUILD)/tests/history/history_test.o $(CHECKER:%.c=$(BUILD)/%.o) $(TEST_HELPERS:%.c=$(BUILD)/%.o) $(LIBRARY)
$(BUILD)/mutants/%: tests/history/mutants/%.patch $(MUTANT_OF)
	@mkdir -p $(@D)
	$(SAY) PLANT $<
	$(Q)patch --quiet --output=$@.c $$(sed -n 's|^--- a/||p' $<) $<
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -c -o $@.o $@.c
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $@.o \
	  $$(printf '%s\n' $(MUTANT_OF) | grep -v "/$$(sed -n 's|^--- a/\(.*\)c$$|\1o|p' $<)$$") $(LIBS)
.SECONDARY: # objects are kept

-include $(OBJECTS:.o=.d) $(TEST_SOURCES:%.c=$(BUILD)/%.d) $(TEST_HELPERS:%.c=$(BUILD)/%.d) \
  $(CHECKER:%.c=$(BUILD)/%.d)

# The example of a game server, which knows the library by its header alone, and its players.
ARENA = $(BUILD)/tests/arena/server $(BUILD)/tests/arena/players
ARENA_SOURCES = $(filter-out %/players.c,$(wildcard tests/arena/*.c))
ARENA_CFLAGS = -D_GNU_SOURCE -Iinclude $(CFLAGS)
$(BUILD)/tests/arena/server: $(ARENA_SOURCES) $(wildcard tests/arena/*.h) include/moonkeep.h $(BUILD)/libmoonkeep.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(ARENA_CFLAGS) $(LDFLAGS) -o $@ $(ARENA_SOURCES) $(BUILD)/libmoonkeep.a $(LIBS)

$(BUILD)/tests/arena/players: tests/arena/players.c
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(ARENA_CFLAGS) $(LDFLAGS) -o $@ $< -lm

# ---- what has to be installed ----

BUILD_DEPS = pkg-config liblua5.4-dev lua-cjson-dev libsqlite3-dev libuv1-dev libxxhash-dev libmicrohttpd-dev libedit2
TEST_DEPS = $(BUILD_DEPS) fish groff-base curl liblua5.1-0-dev libluajit-5.1-dev lua-busted lua-socket lua5.1 lua5.4 luajit luarocks patch sqlite3 tmux valgrind zsh
LINT_DEPS = $(TEST_DEPS) libhiredis-dev liblmdb-dev clang clang-format cppcheck lua-check shellcheck libclang-rt-14-dev llvm

# Looks what is missing and installs it, saying so. $(1): packages, $(2): the stamp that remembers.
define install
	@mkdir -p "$(BUILD)"
	@sh tests/install.sh $(1)
	@touch "$(2)"
endef

$(BUILD)/.deps:
	$(call install,$(BUILD_DEPS),$@)
$(BUILD)/.test-deps:
	$(call install,$(TEST_DEPS),$@)
$(BUILD)/.lint-deps:
	$(call install,$(LINT_DEPS),$@)

deps: $(BUILD)/.deps

# ---- the two commands ----

run: $(BUILD)/moonkeep
	@sh tests/demo.sh "$(BUILD)/moonkeep"

test: $(BUILD)/.test-deps
	@$(MAKE) --no-print-directory $(BUILD)/moonkeep $(TESTS) $(ARENA) $(if $(SANITIZE),,library module)
	@BUILD="$(BUILD)" sh tests/run.sh $(ONLY)

# ---- for those who change it ----

# Warnings as errors with both compilers, format, static analysis, layers.
lint: $(BUILD)/.lint-deps
	@BUILD="$(BUILD)" bash tests/lint.sh

format: $(BUILD)/.lint-deps
	clang-format -i $$(git ls-files '*.c' '*.h')

# The programs and scripts of `test` once more: with the sanitizers, with tiny limits, under valgrind.
FLAVOUR = $(MAKE) --no-print-directory test
asan:
	+@$(FLAVOUR) BUILD="$(BUILD)-asan" SANITIZE=address,undefined OPTIMISE=-O1
tsan:
	+@ONLY_PROGRAMS=1 $(FLAVOUR) BUILD="$(BUILD)-tsan" SANITIZE=thread OPTIMISE=-O1
edges:
	+@ONLY_PROGRAMS=1 $(FLAVOUR) BUILD="$(BUILD)-edges" EDGES=1 SANITIZE=address,undefined OPTIMISE=-O1

# The proof that data cannot be lost, with full counts (some twenty minutes); ONLY: those with this in their name.
proof: $(BUILD)/.test-deps
	@$(MAKE) --no-print-directory $(BUILD)/moonkeep $(TESTS)
	@BUILD="$(BUILD)" bash tests/proof.sh $(ONLY)

# Fuzzing, FUZZ_SECONDS for each target, or of the targets with ONLY in their name; COVERAGE=1 says what they reach.
FUZZ_SECONDS ?= 20
fuzz: $(BUILD)/.lint-deps
	@BUILD="$(BUILD)" FUZZ_SECONDS=$(FUZZ_SECONDS) COVERAGE=$(COVERAGE) bash tests/fuzz/run.sh $(ONLY)

# What it costs, beside other systems: see tests/README.md. BENCH: options of tests/bench/bench.c. Peers that cannot be
# installed are left out, and said so.
BENCH_DEPS = redis-server libhiredis-dev liblmdb-dev tarantool lua5.4 lua-cjson lua-sql-sqlite3 gnuplot-nox
BENCH_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/*.c))
BENCH_TOOLS = tests/bench/tools.c tests/bench/workload.c tests/bench/proc.c
BENCH_LIBS = $(foreach it,hiredis lmdb,$(shell pkg-config --libs $(it) 2>/dev/null))
$(BUILD)/tests/bench/bench: $(BENCH_OBJECTS) $(LIBRARY)
	$(SAY) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(BENCH_LIBS)

# The stopwatch for peers in Lua, whose own Lua it finds when it is loaded.
$(BUILD)/tests/bench/tools.so: $(BENCH_TOOLS) tests/bench/bench.h tests/bench/tools.h
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(CPPFLAGS) -Itests $(PKG_CFLAGS) -std=c11 -g $(OPTIMISE) $(WARNINGS) $(WERROR) -fPIC -shared -o $@ \
	  $(BENCH_TOOLS) -lm

-include $(BENCH_OBJECTS:.o=.d)

$(BUILD)/.bench-deps: $(BUILD)/.deps
	@for it in $(BENCH_DEPS); do sh tests/install.sh $$it || echo "moonkeep: the bench goes on without $$it"; done
	@touch $@

bench: $(BUILD)/.bench-deps
	@$(MAKE) --no-print-directory $(BUILD)/tests/bench/bench $(BUILD)/tests/bench/tools.so $(BUILD)/moonkeep
	@rm -rf "$(BUILD)/bench" && mkdir -p "$(BUILD)/bench/data"
	@"$(BUILD)/tests/bench/bench" --results "$(BUILD)/bench" $(BENCH) "$(BUILD)/bench/data"
	@rm -rf "$(BUILD)/bench/data"

# What a backup costs those who work meanwhile. BENCH: options of tests/bench/backup/backup.c.
$(BUILD)/tests/bench/backup/backup: $(BUILD)/tests/bench/backup/backup.o $(LIBRARY)
	$(SAY) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

bench-backup: $(BUILD)/.deps
	@$(MAKE) --no-print-directory $(BUILD)/tests/bench/backup/backup
	@rm -rf "$(BUILD)/bench-backup" && mkdir -p "$(BUILD)/bench-backup"
	@"$(BUILD)/tests/bench/backup/backup" $(BENCH) "$(BUILD)/bench-backup"
	@rm -rf "$(BUILD)/bench-backup"

# What moonkeep costs a loop that ticks. BENCH: options of tests/bench/tick/tick.c.
$(BUILD)/tests/bench/tick/tick: tests/bench/tick/tick.c include/moonkeep.h $(BUILD)/libmoonkeep.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(ARENA_CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libmoonkeep.a $(LIBS)

bench-tick: $(BUILD)/.deps
	@$(MAKE) --no-print-directory $(BUILD)/tests/bench/tick/tick
	@rm -rf "$(BUILD)/bench-tick" && mkdir -p "$(BUILD)/bench-tick"
	@"$(BUILD)/tests/bench/tick/tick" $(BENCH) "$(BUILD)/bench-tick" tests/bench/tick/scripts
	@rm -rf "$(BUILD)/bench-tick"

# What size costs: ten million keys beside a hundred thousand.
bench-size: $(BUILD)/.deps
	@$(MAKE) --no-print-directory $(BUILD)/moonkeep
	@BUILD="$(BUILD)" bash tests/bench/size.sh

clean:
	rm -rf "$(BUILD)" "$(BUILD)-asan" "$(BUILD)-tsan" "$(BUILD)-edges"

.PHONY: all proof library install uninstall module install-module install-program deps run test lint format asan tsan edges fuzz bench bench-backup bench-size bench-tick clean
