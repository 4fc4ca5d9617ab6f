/* moonkeep: bot and game logic in Lua, with data that cannot be lost.
 *
 * The version and the error codes are what every face of moonkeep shares: a code means the same in a Lua
 * error object (`err.code`), on the control socket and in C. The rest is the C library: a host, with its bots
 * and its stores, inside a C or C++ program. */
#ifndef MOONKEEP_H
#define MOONKEEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define MOONKEEP_VERSION "0.1.0"

enum moonkeep_code {
  MOONKEEP_OK = 0,
  MOONKEEP_INVALID_KEY,     /* not a non-empty UTF-8 string of at most 1,024 bytes without NUL */
  MOONKEEP_INVALID_VALUE,   /* not a JSON value, or one that could not come back exactly as it went in */
  MOONKEEP_INVALID_PATTERN, /* not a LIKE pattern */
  MOONKEEP_TOO_LARGE,       /* a value or a list over its size limit */
  MOONKEEP_NESTED,          /* a store call inside an update function or a transaction */
  MOONKEEP_FULL,            /* no space left: nothing was written */
  MOONKEEP_IO,              /* the disk or the file system failed: nothing was written */
  MOONKEEP_CORRUPT,         /* the row's checksum does not match */
  MOONKEEP_CLOSED,          /* the store has been closed */
  MOONKEEP_TIMEOUT,         /* no answer in time: nothing was changed */
  MOONKEEP_UNKNOWN,         /* a disk error leaves open whether the change was saved */
  MOONKEEP_MEMORY,          /* out of memory: nothing was written */
  MOONKEEP_BUSY,            /* another process has the folder or writes to the store file, or too many calls
                               wait: nothing was done */
  MOONKEEP_INVALID,         /* anything else that the caller got wrong: a setting, an argument, a file */
  MOONKEEP_CONFLICT,        /* a transaction found what it had read changed, as often as it tried: nothing was
                               written */
};

/* ---- a host inside a program ----
 *
 * Thread: all functions below belong to the thread that has opened the host, but for those that say "any
 * thread"; what returns a code refuses to be called on another one (invalid), moonkeep_tick, moonkeep_run,
 * moonkeep_finish and moonkeep_stop do nothing there and say so in the log. The callbacks come from it too,
 * where they do not say otherwise. Texts are UTF-8. A host writes nothing by itself (what it has to say goes
 * to `log`) and installs no signal handler but one that is asked for (budget_signal); its own threads take no
 * signals. A process may have several hosts, on one thread or on several, each with a data folder of its own.
 */

struct moonkeep_host;

struct moonkeep_error { /* filled where a function fails and the pointer is not NULL */
  enum moonkeep_code code;
  char message[768];
};

enum { MOONKEEP_ANY_SIGNAL = -1 };

enum moonkeep_level { MOONKEEP_DEBUG, MOONKEEP_INFO, MOONKEEP_WARN, MOONKEEP_ERROR };

/* An error in a script that nobody has caught, or a script that could not be loaded. */
struct moonkeep_failure { /* valid until the callback returns */
  const char *script;
  const char *what;    /* "error in the event \"hit\"", "not loaded", … */
  const char *message; /* with file and line */
  const char *trace;   /* Lua's traceback; "" */
};

/* Whether each change is also written into the archive, beside the backups, from which all that came after
 * the last backup is restored. */
enum moonkeep_archive {
  MOONKEEP_ARCHIVE_USUAL, /* as archive_sync and backup_every_ms say */
  MOONKEEP_ARCHIVE_ON,    /* within about a second */
  MOONKEEP_ARCHIVE_OFF,
  MOONKEEP_ARCHIVE_SYNC, /* before it counts as saved */
};

/* A script that is not loaded until its file has been saved again or moonkeep_reload says so: because it has
 * brought the server down, for one. */
struct moonkeep_left_out {
  const char *name;
  const char *why; /* for the log and moonkeep_each_script; may be NULL */
};

/* Set `size` to sizeof(struct moonkeep_options), and all else to 0 where the default will do: then a program
 * that was built with an older moonkeep.h, whose struct is shorter, keeps working. Borrowed by moonkeep_open;
 * the callbacks are called until moonkeep_close returns. */
struct moonkeep_options {
  size_t size;
  const char *data;        /* the data folder, made where it is missing; NULL: "data" */
  const char *scripts;     /* the scripts folder; NULL: no scripts */
  const char *name;        /* who we are, for a process that finds the folder taken; NULL: "a program" */
  int watch;               /* load scripts anew when they are saved */
  int lock_wait_ms;        /* how long to wait for another process to free the folder */
  int64_t backup_every_ms; /* 0: 15 minutes; below 0: no backups, and no archive between them */
  int64_t cpu_budget_ms;   /* how long a handler may compute without giving way; 0: a second */
  size_t memory_bytes;     /* the most that one script may use; 0: 64 MiB */
  int64_t grace_ms;        /* how long sleepers may go on when the host ends */
  void *ctx;               /* what the callbacks get */
  /* A line for the log, from any thread. */
  void (*log)(void *ctx, enum moonkeep_level level, const char *source, const char *text);
  /* An action of a script, a JSON object with a NUL behind it; valid until it returns. From moonkeep_tick and
   * the like. */
  void (*action)(void *ctx, const char *json, size_t len);
  /* A script was "loaded", "reloaded" or "unloaded". */
  void (*changed)(void *ctx, const char *script, const char *what);
  const char *backups; /* the folder of the backups and the archive, this host's alone; NULL: `backups` in
                        * the data folder */
  int archive_sync;    /* a change counts as saved when the archive has it on disk too */
  /* Something went wrong in a script, as the log says too. */
  void (*failed)(void *ctx, const struct moonkeep_failure *failure);
  /* The clock, where it is not the system's: milliseconds since 1970, which may jump, and since any moment,
   * which never go back. Any thread; both or none. Expiry, `os.time`, timers, sleeps, grace periods, backups
   * and what is thinned out follow it; budgets of time in ticks and of CPU do not. A clock that is moved by
   * hand is looked at in the next tick. */
  int64_t (*wall_ms)(void *ctx);
  int64_t (*steady_ms)(void *ctx);
  /* Memory of the scripts' Lua states: as realloc, and as free where size is 0; NULL where there is none,
   * then the script has an error of Lua's. Small values come out of blocks of up to 64 KiB, which are given
   * back when the script is closed. NULL: it comes from where the host's own does (moonkeep_set_memory). */
  void *(*resize_memory)(void *ctx, void *block, size_t size);
  /* How scripts' CPU time is measured. 0: they count their steps, and every instruction of Lua costs up to
   * twice as much; no signal is used. A number: that signal is the host's, which installs a handler for it
   * while scripts run and has a timer on the host's thread send it; MOONKEEP_ANY_SIGNAL: a real-time signal
   * whose action is the default. Hosts of one process may share one. */
  int budget_signal;
  /* What the program's own Lua (moonkeep_attach) calls of a store in a tick outside of a task, or in a
   * coroutine that a task has made, cannot give way. 1: it is refused as invalid. 0: it blocks, the tick with
   * it. Between ticks it blocks in either case. */
  int refuse_blocking;
  /* Called by moonkeep_open when the store is open, before the scripts are loaded: the place for
   * moonkeep_provide. Store calls may be made; moonkeep_tick and moonkeep_run may not. */
  void (*prepare)(void *ctx, struct moonkeep_host *host);
  size_t cache_bytes; /* memory for values that are read often; 0: 64 MiB */
  size_t value_bytes; /* the longest value, as JSON; 0: 4 MiB */
  enum moonkeep_archive archive;
  int trust; /* scripts get all of Lua's libraries: files, processes, the debugger */
  const struct moonkeep_left_out *left_out;
  size_t left_out_count;
};

/* Where all memory of moonkeep's own comes from, in the whole process: hosts, stores with their caches,
 * calls, what is on its way to the disk, Lua states without resize_memory. As realloc, and as free where size
 * is 0; any thread, at the same time; NULL: malloc. Before the first host is opened: busy while there is one.
 * Not covered is what SQLite, libuv and the C library take for themselves (SQLite's page caches are the most
 * of it: a few MiB a host), which have functions of their own for that (sqlite3_config,
 * uv_replace_allocator). */
enum moonkeep_code moonkeep_set_memory(void *(*resize)(void *ctx, void *block, size_t size), void *ctx);

/* Opens the data folder and loads the scripts. Errors: busy (the message names the process that has the
 * folder), invalid, corrupt, full, io, memory. *out is NULL then, otherwise yours until moonkeep_close. */
enum moonkeep_code moonkeep_open(struct moonkeep_host **out, const struct moonkeep_options *options,
                                 struct moonkeep_error *error);

/* Ends the scripts, writes everything and frees the folder and the host. May wait for the disk, and where it
 * listens (moonkeep_listen) up to a second for clients to take their last answers. An error is what could not
 * be written; the host is gone all the same, but on another thread than its own. NULL is fine. */
enum moonkeep_code moonkeep_close(struct moonkeep_host *host, struct moonkeep_error *error);

/* Runs what is ready, for at most budget_us microseconds (a handler that is at work then goes on until it
 * gives way; what is left goes on in the next tick), and waits neither for the disk nor for a lock that
 * somebody holds while he does. 0: the host has ended. */
int moonkeep_tick(struct moonkeep_host *host, int64_t budget_us);

/* For a loop: a tick is due when the descriptor is readable, and when the timeout has passed (-1: only the
 * former). The descriptor stays the same, and is the host's. */
int moonkeep_fd(const struct moonkeep_host *host);
int moonkeep_timeout_ms(const struct moonkeep_host *host);

/* For programs without a loop: returns when the host has ended. */
void moonkeep_run(struct moonkeep_host *host);

/* Ends it: what runs may finish, however long it takes, sleepers and timers that are due within grace_ms too;
 * `stop` handlers run, then moonkeep_run returns and moonkeep_tick says 0. From here on events and reloads
 * are refused as closed. */
void moonkeep_finish(struct moonkeep_host *host);

/* The same at once, also after moonkeep_finish: sleepers and timers end now, and what runs has grace_ms, or
 * ten seconds where that is shorter. */
void moonkeep_stop(struct moonkeep_host *host);

/* Raises an event for the scripts: a JSON object with a string "event". Any thread, until moonkeep_close is
 * called. The text is copied. `done` (may be NULL) is called once, on the host's thread, when all handlers
 * have finished and what they saved is on disk; errors is a JSON array of {"script":…,"message":…}, empty
 * when all went well, valid until it returns. Errors: memory; what is wrong with the text comes as an error
 * without a script. They are handed out in the order in which they came; what does not fit into half of a
 * tick's budget is left to the next one. */
enum moonkeep_code moonkeep_emit(struct moonkeep_host *host, const char *json, size_t len,
                                 void (*done)(void *ctx, const char *errors), void *ctx);

/* The same for programs that do not write JSON: the event of this name with these fields. Errors: memory,
 * invalid_value (a text that is no UTF-8, a number that is not finite, a JSON that is none). */
enum moonkeep_type { MOONKEEP_TEXT, MOONKEEP_INTEGER, MOONKEEP_NUMBER, MOONKEEP_BOOLEAN, MOONKEEP_JSON };
struct moonkeep_field {
  const char *name;
  enum moonkeep_type type;
  const char *text; /* MOONKEEP_TEXT, MOONKEEP_JSON */
  int64_t integer;  /* MOONKEEP_INTEGER, MOONKEEP_BOOLEAN */
  double number;    /* MOONKEEP_NUMBER */
};
enum moonkeep_code moonkeep_emit_fields(struct moonkeep_host *host, const char *event,
                                        const struct moonkeep_field *fields, size_t count,
                                        void (*done)(void *ctx, const char *errors), void *ctx);

/* ---- the server's own functions, for scripts ----
 *
 * What is provided as function "move" of module "arena" is called by scripts as
 *
 *     local arena = require "arena"
 *     local place = arena.move(id, {x = 1, y = 2})
 *
 * Arguments and results travel as JSON, and exactly: integers stay integers. To be there when the scripts are
 * loaded, functions are provided in options.prepare; a script that requires a module finds what had been
 * provided by then, and a script that has not found one is loaded anew when it is saved or reloaded. A module
 * of the server's goes before a file of that name in the scripts folder, which is then not read by require
 * (the log says so, as info); that file can stand in for it where the server is not, in `moonkeep test`. */

struct moonkeep_call; /* one call of a script, which waits for its answer */

/* Called on the host's thread, from a tick, with the arguments as a JSON array ("[7,{\"x\":1}]"; nil is
 * null), valid until the call is answered. It may answer before it returns, or keep the call and have it
 * answered later, from any thread: the script's task waits, others run. A script can wait in event handlers,
 * timers and bot.spawn; where it cannot (while it is loaded, in an update function, in table.sort) a call
 * that has not been answered at once is an error for the script, and the answer is thrown away. It may emit
 * events and make store calls here, but none while it is called in an update function of a script (they
 * return MOONKEEP_NESTED then); it may not tick, run or close the host. */
typedef void moonkeep_function(void *ctx, struct moonkeep_call *call, const char *args);

/* Provides a function; function NULL: the module is the function itself (`require "roll"(6)`). Names are
 * those of Lua, a module's may have dots; they are copied. What was provided by these names is replaced, also
 * for scripts that have it already; fn NULL withdraws it: then calls raise `closed`. fn and ctx have to stay
 * until moonkeep_close. Errors: invalid (a name that is none, or "moonkeep" or "cjson"; the message says so),
 * memory. */
enum moonkeep_code moonkeep_provide(struct moonkeep_host *host, const char *module, const char *function,
                                    moonkeep_function *fn, void *ctx, struct moonkeep_error *error);

/* The same for a whole module. Where it fails, what stands before in the list is provided. */
struct moonkeep_entry {
  const char *name;
  moonkeep_function *fn;
};
enum moonkeep_code moonkeep_provide_module(struct moonkeep_host *host, const char *module,
                                           const struct moonkeep_entry *entries, size_t count, void *ctx,
                                           struct moonkeep_error *error);

/* Answers a call, which is gone then: each has to be answered exactly once, with one of these two, from any
 * thread, also when the script or the host are gone by then (then nothing comes of it). The texts are copied.
 * json: what the function returns, a JSON value; NULL: nothing. A text that is none is an error in the
 * script. raise: an error object with this code and message; code MOONKEEP_OK counts as MOONKEEP_INVALID. */
void moonkeep_return(struct moonkeep_call *call, const char *json);
void moonkeep_raise(struct moonkeep_call *call, enum moonkeep_code code, const char *message);

/* The name of the script that calls; valid until the call is answered. */
const char *moonkeep_caller(const struct moonkeep_call *call);

/* ---- the server's own Lua ----
 *
 * For a server that has Lua 5.4 in it, from liblua5.4.so as libmoonkeep.so has: its own states get the
 * stores. Nothing measures or bounds what runs in them.
 *
 * Another Lua in the process (LuaJIT, 5.1 …) is refused as invalid, and the message says which and why: by
 * moonkeep_open with scripts and by moonkeep_attach, where that Lua has taken the place of ours, because it
 * was linked or loaded before; and by moonkeep_attach, where it has not, for each state that is not of our
 * Lua, whatever else it is. Nothing else of moonkeep's needs Lua: such a server has the store from C, or runs
 * `moonkeep run` beside it and uses the control socket. */

struct lua_State;

/* Sets the globals appData and rootServer (with dataStore) in the state, as scripts have them, and makes
 * `require "moonkeep"` give array, null, unchanged, absent and version. Until moonkeep_close, after which its
 * stores raise `closed`, or until lua_close, which may come first; both on the host's thread, as all use of
 * the state. A store call blocks until it is answered, or gives way in a task (below). Called from a callback
 * of the store's it is `nested`; with options.refuse_blocking what would block in a tick is `invalid`.
 * Errors: invalid (the message says what to do), memory. */
enum moonkeep_code moonkeep_attach(struct moonkeep_host *host, struct lua_State *L,
                                   struct moonkeep_error *error);

/* Starts a task in an attached state: the function that stands below `args` arguments on top of L, all of
 * which it pops, runs in the ticks, and its store calls give way to others, through pcall and metamethods
 * too. It may not yield. What it returns is dropped; an error goes to options.failed and the log.
 *
 * Coroutines in an attached state are Lua's own (coroutine.create, wrap): they yield to each other as ever,
 * in a task too, but the wait of a store call could not pass through them to the host, as it does in scripts,
 * so there it blocks or is refused, as options.refuse_blocking says. A generator that a task runs should be
 * given its values by the task, or be a loop over store:each, which gives way.
 *
 * Errors, then nothing is popped but on an error of Lua's: invalid, memory. */
enum moonkeep_code moonkeep_spawn(struct moonkeep_host *host, struct lua_State *L, int args,
                                  struct moonkeep_error *error);

/* ---- the store ----
 *
 * Calls take their place in the one order when they are made, and are answered on the host's thread, from
 * moonkeep_tick, moonkeep_run or moonkeep_wait, never before the function returns. A change is on disk when
 * it is answered. store NULL: "appData". Texts end with NUL and are copied. Where a function returns an
 * error, `done` is not called. */

struct moonkeep_answer { /* valid until `done` returns */
  enum moonkeep_code code;
  const char *message;   /* what is wrong; "" */
  const char *json;      /* get, update: the value, NULL: absent; select: an array of {"key":,"value":}, with
                          "expires_at_ms": where the row has one; backup: see there */
  uint64_t count;        /* deleteLike, count: how many; delete: 1 where the key was there; select: rows;
                          backup: keys */
  int64_t expires_at_ms; /* get, update: of the value, since 1970; 0: never */
};
typedef void moonkeep_done(void *ctx, const struct moonkeep_answer *answer); /* NULL: need not know */

enum moonkeep_code moonkeep_get(struct moonkeep_host *host, const char *store, const char *key,
                                moonkeep_done *done, void *ctx);
/* expires_at_ms: since 1970, at most 1e15 (the year 33658: what is more counts something else, and is
 * invalid_value); 0: never. json is any JSON value. */
enum moonkeep_code moonkeep_set(struct moonkeep_host *host, const char *store, const char *key,
                                const char *json, int64_t expires_at_ms, moonkeep_done *done, void *ctx);
enum moonkeep_code moonkeep_delete(struct moonkeep_host *host, const char *store, const char *key,
                                   moonkeep_done *done, void *ctx);
enum moonkeep_code moonkeep_delete_like(struct moonkeep_host *host, const char *store, const char *pattern,
                                        moonkeep_done *done, void *ctx);
/* At most `limit` rows (0: all), in key order. */
enum moonkeep_code moonkeep_select(struct moonkeep_host *host, const char *store, const char *pattern,
                                   uint64_t limit, moonkeep_done *done, void *ctx);
/* How many keys there are, without their values. */
enum moonkeep_code moonkeep_count(struct moonkeep_host *host, const char *store, const char *pattern,
                                  moonkeep_done *done, void *ctx);

/* fn is called once, on the host's thread, with the newest value (NULL: absent), and nothing gets in between;
 * it may make no call here. It returns the new value as JSON, valid until `done` is called, or NULL: nothing
 * is written. */
enum moonkeep_code moonkeep_update(struct moonkeep_host *host, const char *store, const char *key,
                                   const char *(*fn)(void *ctx, const char *json), moonkeep_done *done,
                                   void *ctx);

/* ---- transactions ----
 *
 * A transaction reads and changes any keys of any stores, as one change that is made whole or not at all, and
 * as if nothing else had happened meanwhile: the guarantees of a script's store:transaction. Its function is
 * called on the host's thread, from moonkeep_transaction or a tick, and never waits: a key that is not at
 * hand reads as absent, is loaded, and the function is called again from the start, as it is when another
 * change has got in between. So whatever else it touches (its ctx) has to bear being set anew. When it
 * returns MOONKEEP_OK what it has written is committed, and answered when that is on disk; any other code
 * gives the transaction up: nothing is written, and the code is the answer's. What was wrong with a key or
 * value is answered too, and nothing is written. Further codes: conflict, after a hundred runs; what the
 * store answers.
 *
 *     static enum moonkeep_code pay(void *ctx, struct moonkeep_tx *tx) {
 *       struct deal *deal = ctx;
 *       const char *gold = moonkeep_tx_get(tx, NULL, deal->buyer);
 *       if (!gold || atoi(gold) < deal->price) return MOONKEEP_INVALID;
 *       moonkeep_tx_set(tx, NULL, deal->buyer, minus(gold, deal->price), 0);
 *       …
 *       return MOONKEEP_OK;
 *     } */

struct moonkeep_tx; /* one transaction; valid while its function runs */

enum moonkeep_code moonkeep_transaction(struct moonkeep_host *host,
                                        enum moonkeep_code (*fn)(void *ctx, struct moonkeep_tx *tx),
                                        moonkeep_done *done, void *ctx);

/* For fn alone. They see what the transaction itself has changed. A value is valid until its key is written
 * or fn returns; NULL: absent. update keeps the key's expiry; its function may be left out where the value is
 * still to be loaded, and returns NULL to write nothing. delete: 1 where the key was there. */
const char *moonkeep_tx_get(struct moonkeep_tx *tx, const char *store, const char *key);
void moonkeep_tx_set(struct moonkeep_tx *tx, const char *store, const char *key, const char *json,
                     int64_t expires_at_ms);
void moonkeep_tx_update(struct moonkeep_tx *tx, const char *store, const char *key,
                        const char *(*fn)(void *ctx, const char *json), void *ctx);
int moonkeep_tx_delete(struct moonkeep_tx *tx, const char *store, const char *key);

/* ---- waiting for the store ----
 *
 * For tools, and for servers while they start: these wait for the disk, so not in ticks. They return the
 * answer's code and fill the result (may be NULL), whose json is yours until moonkeep_result_free. Events,
 * tasks and timers do not run meanwhile, other answers are given. nested: called from the `done` of a call,
 * or in an update function or transaction. */

struct moonkeep_result { /* see moonkeep_answer */
  enum moonkeep_code code;
  char message[768];
  char *json;
  uint64_t count;
  int64_t expires_at_ms;
};

void moonkeep_result_free(struct moonkeep_result *result);

enum moonkeep_code moonkeep_get_wait(struct moonkeep_host *host, const char *store, const char *key,
                                     struct moonkeep_result *result);
enum moonkeep_code moonkeep_set_wait(struct moonkeep_host *host, const char *store, const char *key,
                                     const char *json, int64_t expires_at_ms, struct moonkeep_result *result);
enum moonkeep_code moonkeep_delete_wait(struct moonkeep_host *host, const char *store, const char *key,
                                        struct moonkeep_result *result);
enum moonkeep_code moonkeep_delete_like_wait(struct moonkeep_host *host, const char *store,
                                             const char *pattern, struct moonkeep_result *result);
enum moonkeep_code moonkeep_select_wait(struct moonkeep_host *host, const char *store, const char *pattern,
                                        uint64_t limit, struct moonkeep_result *result);
enum moonkeep_code moonkeep_count_wait(struct moonkeep_host *host, const char *store, const char *pattern,
                                       struct moonkeep_result *result);
enum moonkeep_code moonkeep_update_wait(struct moonkeep_host *host, const char *store, const char *key,
                                        const char *(*fn)(void *ctx, const char *json), void *ctx,
                                        struct moonkeep_result *result);
enum moonkeep_code moonkeep_transaction_wait(struct moonkeep_host *host,
                                             enum moonkeep_code (*fn)(void *ctx, struct moonkeep_tx *tx),
                                             void *ctx, struct moonkeep_result *result);

/* Waits until every store call and backup has been answered; not at all where the above would be nested. */
void moonkeep_wait(struct moonkeep_host *host);

/* ---- looking after it ----
 *
 * What `moonkeep reload`, `backup` and `status` do for the program's own host. */

/* Loads the script of this name anew, or all (NULL), whether their files have changed or not, and takes in
 * what is new or gone; those that were left out, too. Reads files, so not in a tick that must not wait for
 * the disk. `done` (may be NULL) is called once, from a later tick or from moonkeep_close, when each of them
 * has taken over or failed: results is a JSON array of {"script":"xp","result":"reloaded"}, which may also be
 * "loaded" (it did not run before), "unloaded" (its file is gone) or "failed", with an "error" that has file
 * and line; then the version that ran goes on. Valid until it returns. Errors, then `done` is not called:
 * invalid (no such script: the message names those that there are; a host without scripts), closed (it is
 * ending), memory. */
enum moonkeep_code moonkeep_reload(struct moonkeep_host *host, const char *script,
                                   void (*done)(void *ctx, const char *results), void *ctx,
                                   struct moonkeep_error *error);

/* Takes a backup now, whether something has changed or not, beside all other work: a thread of the host's
 * does it. It holds every change that was answered before. It is answered when the backup has been read
 * back and verified, with {"name":"appdata-20261123T101500.250Z.db","at_ms":…,"bytes":…,"keys":…}; the file
 * is in options.backups. Errors of the answer, whose message names the folder or file: full, io, invalid (the
 * folder is none, say), corrupt, closed; what was half made is taken away then. Errors: nested, memory. */
enum moonkeep_code moonkeep_backup(struct moonkeep_host *host, moonkeep_done *done, void *ctx);
enum moonkeep_code moonkeep_backup_wait(struct moonkeep_host *host, struct moonkeep_result *result);

/* ---- from a shell ----
 *
 * Commands reach a host that listens as they reach one of `moonkeep run`: `moonkeep status --data DATA`, and
 * `console`, `logs`, `reload`, `backup`, `metrics`, `get`, `set`, … What they speak is JSON-RPC
 * (host/README.md has the methods), so that other programs can, too: emit events, and hear actions.
 *
 * Requests are done in ticks (in moonkeep_run, of course, too), which never wait for a client: as many of
 * them as half of the budget allows, each in one piece, so that one of a megabyte takes some milliseconds. No
 * signal comes of a client that has gone. `stop` ends the host as moonkeep_stop does; then the program closes
 * it, and does what it likes. */

struct moonkeep_listen {
  size_t size;         /* set it to sizeof(struct moonkeep_listen) */
  const char *address; /* HOST:PORT of this machine alone, such as "127.0.0.1:7070", where the same is spoken
                          over TCP; port 0 takes any, and the log says which. NULL: none */
  const char *token_file; /* with address: a file with one line, of at least 16 characters, that nobody else
                             may read; whoever comes over TCP has to say it first */
  const char *metrics; /* HOST:PORT or :PORT, where /metrics, /healthz and /readyz are served over HTTP, on a
                          thread of their own that libmicrohttpd makes; NULL: nowhere */
};

/* Opens the control socket, control.sock in the data folder, for its owner alone, and what options say beside
 * it (NULL: nothing). Once for a host, after moonkeep_open has returned; moonkeep_close takes all of it away.
 * options is borrowed. May wait: it looks up names and reads the token's file. Errors, then nothing is open:
 * invalid (an address that is none, or not of this machine; the token's file; a file of that name that is no
 * socket; it listens already), io (somebody else has the address; libmicrohttpd is missing), memory. */
enum moonkeep_code moonkeep_listen(struct moonkeep_host *host, const struct moonkeep_listen *options,
                                   struct moonkeep_error *error);

/* ---- backups, for tools ----
 *
 * What the commands `backups`, `check` and `restore` do to a data folder (NULL: "data"), whose backups are in
 * the folder `backups` (NULL: `backups` in the data folder). They need no host, read and write files, and
 * wait for the disk. Any thread. */

struct moonkeep_backup_file { /* valid until visit returns */
  const char *name;           /* of the file */
  int64_t at_ms;              /* the moment that it holds, since 1970 */
  uint64_t bytes, keys;       /* of the file; that it holds */
  int64_t until_ms;           /* up to when the archive brings the newest one forward; 0: not at all */
  const char *problem;        /* why it cannot be opened; NULL: it can, and was verified when it was made */
};

/* The backups that there are, the newest first; a folder that is missing has none. Also while a host runs, in
 * this process or another one. Errors: invalid (the folder may not be read), io, memory. */
enum moonkeep_code moonkeep_backups(const char *data, const char *backups,
                                    void (*visit)(void *ctx, const struct moonkeep_backup_file *backup),
                                    void *ctx, struct moonkeep_error *error);

enum moonkeep_checked_kind {
  MOONKEEP_CHECKED_STORE,
  MOONKEEP_CHECKED_BACKUP,
  MOONKEEP_CHECKED_ARCHIVE,      /* all of it */
  MOONKEEP_CHECKED_ARCHIVE_FILE, /* one of it that is not good */
};

struct moonkeep_checked { /* valid until visit returns */
  const char *name;       /* of the file, or "archive" */
  enum moonkeep_checked_kind kind;
  const char *problem;    /* NULL: it is good */
  int counted;            /* keys and damaged are known */
  uint64_t keys, damaged; /* rows */
  uint64_t unusable;      /* rows of other programs that no call can use */
  const char *left_out;   /* tables of other programs that are no stores; "": none */
  uint64_t files, groups; /* of the archive; groups: commits */
  int64_t until_ms;       /* the moment up to which it brings the newest backup forward; 0: not at all */
};

struct moonkeep_check {
  size_t size; /* set it to sizeof(struct moonkeep_check) */
  const char *data, *backups;
  int full; /* each row with its checksum too; otherwise what its structures say */
  void (*visit)(void *ctx, const struct moonkeep_checked *checked); /* each file, one by one; may be NULL */
  void *ctx;
};

/* Looks at the store file, each backup and the archive, and changes nothing. *bad (may be NULL): how many are
 * not good. Also while another process has a host there. Errors: what kept it from looking: invalid (no such
 * folder, or the backups are another store's), busy (this process has a host there: close it first), io,
 * memory. */
enum moonkeep_code moonkeep_check(const struct moonkeep_check *options, unsigned *bad,
                                  struct moonkeep_error *error);

struct moonkeep_restore {
  size_t size; /* set it to sizeof(struct moonkeep_restore) */
  const char *data, *backups;
  const char *name;   /* who we are, for a process that finds the folder taken; NULL: "a program" */
  const char *backup; /* the name of a backup, or the path of a store file; NULL: the newest that verifies */
  int64_t until_ms; /* the state of this moment, since 1970; 0: the newest that there is. Not with `backup` */
  int dry_run;      /* only says what would be done */
  int lock_wait_ms; /* how long to wait for another process to free the folder */
  void (*log)(void *ctx, enum moonkeep_level level, const char *source, const char *text); /* may be NULL */
  void *ctx;
};

/* Brings an earlier state of a folder back on which no host runs. The state before becomes a backup first, so
 * that it can be brought back, too; one that cannot be read is moved into a folder. result (may be NULL) gets
 * what `moonkeep restore --json` prints, which is yours until moonkeep_result_free:
 * {"kind":"restored","backup":…,"up_to":…,"missing":…,"kept":"appdata-20261123T101500.250Z.db","dry_run":false}.
 * Errors, after which the store is as it was: busy (a host runs there), invalid (no such backup), corrupt
 * (none verifies), full, io, memory. */
enum moonkeep_code moonkeep_restore(const struct moonkeep_restore *options, struct moonkeep_result *result);

/* A moment as people write it, in milliseconds since 1970: "2026-11-23T10:15:00.250Z", with an offset such as
 * +01:00, or without either in local time; "2026-11-23 10:15"; the name of a backup; seconds since 1970. -1:
 * it is none. */
int64_t moonkeep_moment(const char *text);

enum moonkeep_phase {
  MOONKEEP_RUNNING,
  MOONKEEP_FINISHING, /* it takes no more events */
  MOONKEEP_STOPPING,  /* the `stop` handlers run */
  MOONKEEP_ENDED,
};

/* Counters begin at moonkeep_open and only grow; moments are milliseconds since 1970, by the host's clock. */
struct moonkeep_status {
  size_t size; /* set it to sizeof(struct moonkeep_status) before: what is behind it stays as it is */
  enum moonkeep_phase phase;
  size_t scripts; /* that run */
  size_t events;  /* whose handlers have not all finished */
  uint64_t events_done, events_failed;
  size_t tasks_running, tasks_sleeping, timers;
  uint64_t calls, calls_made;     /* of the store: that wait for their answer; since the beginning */
  uint64_t lookups, cache_misses; /* of single keys; those that had to be read from the file */
  uint64_t cache_bytes, cache_limit_bytes;
  uint64_t commits, commits_failed, changes; /* each commit holds all changes that waited together */
  int64_t commit_us;                         /* what one takes nowadays, the sync of the disk with it */
  uint64_t journal_bytes;                    /* saved, and not in the tables of the store file yet */
  uint64_t file_bytes, wal_bytes;            /* of appdata.db and its write-ahead log */
  int cannot_write;         /* after an error of the disk; it tries again, and reading goes on */
  char backup[64];          /* the file's name of the newest backup, which was verified; "": there is none */
  int64_t backup_at_ms;     /* the moment that it holds */
  int64_t backup_age_ms;    /* how long ago that was; -1: there is none */
  uint64_t backup_bytes;    /* of the file */
  unsigned backup_failures; /* tries since then */
  char backup_error[768];   /* why the last try failed; "": it did not */
  enum moonkeep_archive archive;
  int64_t archive_at_ms;         /* up to when the archive has all changes on disk; 0: it has none */
  uint64_t archive_behind_bytes; /* that wait to be written there */
  char archive_error[256];       /* why they cannot be written; "": they can */
  const char *restored; /* the receipt of the last restore or repair, whenever that was: a JSON object
                         with "kind", "why", "up_to", "missing"; "": there was none. Valid until the next
                         tick */
  int wants_reopening;  /* the store file is damaged so that only moonkeep_open mends it; and backup and
                         archive have all of it, so that nothing will be missing: close the host and open it
                         anew */
};

/* How the host is. Costs some microseconds, and asks the file system for two sizes. Errors: invalid (size).
 */
enum moonkeep_code moonkeep_status(struct moonkeep_host *host, struct moonkeep_status *status);

struct moonkeep_script { /* valid until the callback returns */
  const char *name, *file;
  const char *problem; /* what keeps the file from running as it was saved last; NULL: nothing */
  unsigned version;    /* that runs, counted from 1; 0: none does, and what follows is 0 */
  size_t tasks, memory_bytes, memory_limit_bytes;
  int64_t loaded_at_ms;
  uint64_t runs, errors; /* of its tasks: how often one had its turn, how many failed */
  uint64_t cpu_us;       /* as samples show: coarse for little */
};

/* What the scripts folder has, in order of name, also what could not be loaded or was left out. `visit` makes
 * no call of the host. */
enum moonkeep_code moonkeep_each_script(struct moonkeep_host *host,
                                        void (*visit)(void *ctx, const struct moonkeep_script *script),
                                        void *ctx);

/* The names of the stores that exist, in no order; valid until `visit` returns, which makes no call. */
enum moonkeep_code moonkeep_each_store(struct moonkeep_host *host, void (*visit)(void *ctx, const char *name),
                                       void *ctx);

/* The code's name as scripts see it, such as "invalid_key". Never NULL; any thread. */
const char *moonkeep_code_name(enum moonkeep_code code);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
