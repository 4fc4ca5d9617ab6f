/* One script: a version of a bot with a Lua state of its own; and the room that all scripts of a host share.
 *
 * Private to host/script. script_new makes a script, script_load runs its main chunk, script_drop ends its
 * tasks and timers, script_free closes its state. Between these it goes through the stages below, which
 * reload.h tells of. Host thread only. */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/list.h"
#include "script/arena.h"
#include "script/bounds.h"
#include "script/budget.h"
#include "script/call.h"
#include "script/scripts.h"
#include "script/source.h"
#include "script/watch.h"

struct bot;
struct event;
struct fault_text;
struct task;

/* What waits in the ready queue for its turn: a task to resume, an event to deliver. */
struct job {
  struct list link;
  void (*run)(struct job *);
};

struct scripts {
  struct scripts_options options; /* what it borrows stays borrowed; dir is ours */
  struct list bots;               /* what the folder has, by name: see reload.h */
  struct list all;                /* of the scripts that get events, by name */
  size_t count;
  struct list others; /* scripts that are about to take over, or that drain */
  struct list ready;  /* jobs, first come first served over all scripts */
  size_t slowed_count;
  struct list slowed; /* tasks that want to call the store and wait until it has room */
  struct list held;   /* events that came before scripts_start */
  size_t events;      /* that are not done */
  uint64_t events_done, events_failed;
  bool started;
  bool closing;
  size_t tasks, sleeping, timers, queued; /* see scripts_load */
  size_t calls;                           /* store calls under way, also those whose task is gone */
  struct buf scratch;                     /* JSON on its way out; never in use while Lua runs */
  struct watch watch;
  struct timer look;    /* at everything: see look.h */
  int64_t looked_ms;    /* steady time of the last look */
  int64_t busy_ms;      /* and of the last change to a file that it saw */
  bool unwatched;       /* there is no inotify, and the log has said so */
  bool missing;         /* the folder cannot be read, and the log has said so */
  int64_t until_us;     /* see scripts_set_deadline */
  bool ending;          /* nothing is loaded any more */
  struct budget budget; /* of CPU time */
};

enum script_stage {
  SCRIPT_LIVE,     /* it gets the events */
  SCRIPT_NEXT,     /* it is loaded, its `start` handlers run; takes over when these have ended */
  SCRIPT_DRAINING, /* another version has taken over, or it was removed; its tasks finish */
  SCRIPT_STOPPING, /* its `stop` handlers run */
  SCRIPT_OVER,     /* nothing happens to it any more */
};

struct script {
  struct scripts *scripts; /* borrowed */
  struct list link;        /* in all or others */
  enum script_stage stage;
  struct bot *bot;       /* borrowed; while it is live or next */
  bool handing_over;     /* bot.handover has given the next version what it had: events wait for that one */
  struct buf legacy;     /* what it has given, as JSON */
  struct scripts *guest; /* borrowed: the room of its tasks, where its state was attached; see guest.h */
  bool failed;           /* a `start` handler has, before it took over */
  unsigned generation;   /* which version of the bot, from 1 */
  struct job turn;       /* see reload_poke */
  struct timer grace;    /* while it drains */
  int64_t patience_ends_ms;
  char *name;              /* owned */
  lua_State *L;            /* owned: the main thread; the host's own calls into the script run here */
  lua_State *closure;      /* L's: update functions run on it; NULL: to be made anew */
  lua_State *chunk;        /* L's: the main chunk runs on it; NULL: to be made */
  struct arena arena;      /* its memory */
  size_t bytes;            /* what its allocator has given out, and what the host keeps for it */
  size_t limit_bytes;      /* the most of that; 0: no limit */
  int64_t loaded_ms;       /* since 1970 */
  uint64_t runs;           /* of its tasks */
  uint64_t errors;         /* that its tasks died of */
  volatile int64_t cpu_ns; /* as the budget's ticks have found it; the signal handler counts, too */
  struct task *current;    /* the task that runs; NULL: none, or the main chunk */
  bool can_wait;           /* every coroutine from the current task up to the one that runs can yield */
  bool host_yield;         /* the yield on its way outward is for the host, not for the script's own resume */
  bool in_update;          /* an update function runs: no store call, no waiting */
  lua_State *closed;       /* the coroutine that coroutine.close is at work on; it cannot yield */
  unsigned closings;       /* how many of these are nested */
  struct list tasks;       /* that are under way */
  struct list idle;        /* finished ones, to be used again */
  unsigned idle_count;
  unsigned starting;    /* `start` handlers that have neither ended nor gone to sleep: events wait for them */
  struct list held;     /* of held events, in order */
  struct list handlers; /* bot.on, in the order of subscription */
  struct list timers;   /* bot.after and bot.every that are set */
  struct list sources;  /* every file that was loaded, the script's own first */
  struct waiter waiter; /* of store calls outside tasks */
  struct bounds bounds;
};

/* Marks that the extra space of a coroutine carries in the low bits of the pointer to its script. */
enum {
  THREAD_WAITS = 1,   /* a store call or a sleep waits in its middle: only the host may resume it */
  THREAD_HOST = 2,    /* the host made it: a task's, or the one for update functions */
  THREAD_STOPPED = 4, /* it was stopped for its budget, and is never touched again */
  THREAD_MARKS = THREAD_WAITS | THREAD_HOST | THREAD_STOPPED,
};

/* The script that a state belongs to. In a state that is not ours (foreign.h) what stands for it there; NULL:
 * it knows nothing of moonkeep. Marks are kept in our own states alone. */
struct script *script_of(lua_State *L);
bool script_owns(lua_State *L); /* whether it is one of ours */
bool thread_is(lua_State *L, unsigned mark);
void thread_mark(lua_State *L, unsigned mark, bool on);

/* The room for scripts, empty; NULL: no memory. scripts_close ends it. */
struct scripts *scripts_make(const struct scripts_options *options);

/* The lists and the waiter of a script that is all zero. */
void script_init(struct script *script);

/* A script of this name with its libraries, and nothing in it; NULL: no memory. */
struct script *script_new(struct scripts *scripts, const char *name);

/* Loads the file (relative to the folder) and runs it. `before` (NULL: none) is the version that goes on
 * meanwhile: when the file has been compiled, it hands over. False: why says what has failed. */
bool script_load(struct script *script, const char *file, struct script *before, struct fault_text *why);

/* Whether the file, a module's, compiles; it counts as a source of the script from here on. False: why says
 * what is wrong with it. */
bool script_compiles(struct script *script, const char *file, struct fault_text *why);

/* Ends its tasks, timers and handlers; answers of its store calls may still come. */
void script_drop(struct script *script, const char *why);
void script_free(struct script *script); /* after script_drop; NULL is fine */

/* Runs body(arg) on the main thread, protected; arg arrives as light userdata at index 1. False: it raised,
 * and err says what. */
bool script_protect(struct script *script, lua_CFunction body, void *arg, struct err *err);

/* Makes the coroutine *place (script->closure, script->chunk), where there is none; false: no memory. A
 * coroutine that was stopped or has died is let go with script_forget_thread. */
bool script_need_thread(struct script *script, lua_State **place);
void script_forget_thread(struct script *script, lua_State **place);

/* Notes a file that the script is about to be made from, or that it has asked for in vain; false: no memory.
 */
bool script_add_source(struct script *script, const char *path);

const struct log *script_log(const struct script *script);

#endif
