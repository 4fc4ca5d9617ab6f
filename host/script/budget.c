#include "script/budget.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/note.h"
#include "script/script.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
  DEFAULT_MS = 1000,
  TICK_MS = 10,     /* the kernel is not more exact than its own tick of 1 to 10 ms */
  TICKS = 4,        /* at least so many in a budget */
  COUNT = 10000,    /* instructions between two looks at the clock, without a timer */
  POLLS_A_LOOK = 8, /* the same for budget_check */
  TRACE_BYTES = 4096,
  STUCK_MS = 2000, /* over the budget by so much: no hook, no check stops it; it is in a loop of C's */
};

static int64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct budget *budget_of(lua_State *L) {
  return &script_of(L)->scripts->budget;
}

/* ---- the hook ---- */

static void hook(lua_State *L, lua_Debug *ar);

static void set_hook(lua_State *L) {
  lua_sethook(L, hook, LUA_MASKCOUNT, 1);
}

/* The time since the last tick goes to the innermost frame that was there then: what has come and gone since
 * is part of it. In the signal handler, or where the hook counts. */
static void count(struct budget *budget) {
  int64_t now_ns = cpu_ns();
  struct budget_frame *frame = budget->top;
  if (frame) frame->script->cpu_ns += now_ns - budget->last_ns; /* a sample: who is there now */
  while (frame && frame->seen != budget->tick) frame = frame->below;
  if (frame) {
    frame->used_ns += now_ns - budget->last_ns;
    if (frame->used_ns >= budget->limit_ns) frame->over = true;
  }
  budget->tick += budget->tick == UINT32_MAX ? 2 : 1;
  budget->last_ns = now_ns;
  for (frame = budget->top; frame; frame = frame->below) frame->seen = budget->tick;
}

/* Where there is no timer: at the clock, now and then. */
static void look(struct budget *budget) {
  if (++budget->polls % POLLS_A_LOOK == 0) count(budget);
}

/* ---- the timer ---- */

static void on_signal(int number, siginfo_t *info, void *context);

/* The handlers' signals, which all hosts of the process share. */
static pthread_mutex_t signals_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned signal_users[65]; /* by number */

/* Whether the signal is ours, or becomes ours because nobody uses it. */
static bool claim_signal(int number) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
  if (number <= 0 || number >= (int)(sizeof signal_users / sizeof *signal_users)) return false;
  if (signal_users[number] > 0) return true;
  if (sigaction(number, NULL, &old) != 0 || old.sa_handler != SIG_DFL) return false;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL) == 0;
}

/* The signal that is asked for, or a real-time signal; 0: there is none to be had. */
static int take_signal(int wanted) {
  pthread_mutex_lock(&signals_lock);
  int number = wanted > 0 ? wanted : SIGRTMAX - 1, least = wanted > 0 ? wanted : SIGRTMIN;
  while (number >= least && !claim_signal(number)) number--;
  if (number < least) number = 0;
  if (number) signal_users[number]++;
  pthread_mutex_unlock(&signals_lock);
  return number;
}

static void give_signal(int number) {
  pthread_mutex_lock(&signals_lock);
  static const struct sigaction usual = {.sa_handler = SIG_DFL};
  if (--signal_users[number] == 0) sigaction(number, &usual, NULL);
  pthread_mutex_unlock(&signals_lock);
}

static bool open_timer(struct budget *budget) {
#if defined(__SANITIZE_THREAD__)
  return false;
#endif
  int number = budget->signal < 0 ? 0 : take_signal(budget->signal);
  if (!number) return false;
  budget->taken = number;
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
  event.sigev_value.sival_ptr = budget;
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &budget->timer) == 0) return true;
  give_signal(number);
  return false;
}

/* A signal of the timer that is still pending comes before this returns: it is this thread's own. */
static void close_timer(struct budget *budget) {
  if (!budget->opened || budget->counting) return;
  timer_delete(budget->timer);
  give_signal(budget->taken);
}

static void set_timer(struct budget *budget, int64_t ns) {
  struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  struct itimerspec each = {time, time};
  timer_settime(budget->timer, 0, &each, NULL);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  struct budget *budget = info->si_value.sival_ptr;
  if (info->si_code != SI_TIMER || !budget) return;
  int error = errno;
  count(budget);
  struct budget_frame *top = budget->top;
  if (!top) {
    budget->ticking = false;
    set_timer(budget, 0);
  } else if (top->over) {
    set_hook(top->L);
    if (top->used_ns >= budget->limit_ns + (int64_t)STUCK_MS * 1000000) note_stuck();
  }
  errno = error;
}

/* The timer measures the thread that made it: where the host has moved to another one, so does its timer. */
static void open_for_this_thread(struct budget *budget) {
  if (budget->opened && pthread_equal(budget->thread, pthread_self())) return;
  bool first = !budget->opened;
  close_timer(budget);
  budget->thread = pthread_self();
  budget->opened = true;
  budget->counting = !open_timer(budget);
#if !defined(__SANITIZE_THREAD__)
  if (budget->counting && first && budget->signal >= 0)
    log_write(budget->log, LOG_WARN, "scripts",
              "no timer for the CPU budget (%s): scripts run slower, since they count their steps instead",
              strerror(errno));
#else
  (void)first;
#endif
}

static void begin_ticking(struct budget *budget) {
  open_for_this_thread(budget);
  budget->last_ns = cpu_ns();
  budget->ticking = true;
  if (budget->counting) return;
  int64_t tick_ns = (int64_t)TICK_MS * 1000000;
  set_timer(budget, budget->limit_ns / TICKS < tick_ns ? budget->limit_ns / TICKS : tick_ns);
}

/* ---- frames ---- */

void budget_init(struct budget *budget, int64_t limit_ms, int signal, const struct log *log) {
  *budget =
      (struct budget){.limit_ns = (limit_ms ? limit_ms : DEFAULT_MS) * 1000000, .signal = signal, .log = log};
  budget->tick = 1;
}

void budget_deinit(struct budget *budget) {
  close_timer(budget);
}

struct budget_frame *budget_frame(lua_State *L) {
  return budget_of(L)->top;
}

/* The handler may strike at any moment: it finds the coroutine in its place before `over` is asked. */
void budget_switch(struct budget_frame *frame, lua_State *L) {
  struct budget *budget = budget_of(L);
  *(lua_State *volatile *)&frame->L = L;
  if (budget->counting) look(budget); /* who switches often never comes to COUNT */
  if (frame->over)
    set_hook(L);
  else if (budget->counting)
    lua_sethook(L, hook, LUA_MASKCOUNT, COUNT);
}

void budget_enter(struct budget_frame *frame, struct script *script, lua_State *L, bool can_yield) {
  struct budget *budget = &script->scripts->budget;
  bool ticking = budget->ticking && pthread_equal(budget->thread, pthread_self());
  if (!ticking && !budget->off) begin_ticking(budget);
  frame->below = budget->top;
  frame->script = script;
  frame->L = L;
  frame->can_yield = can_yield;
  frame->told = false;
  frame->over = false;
  frame->seen = 0;
  frame->used_ns = 0;
  budget->top = frame;
  note_script(script, script->name);
  if (budget->counting) budget_switch(frame, L);
}

/* What an update function has used is its caller's too where it held up that one; `over` may have come to a
 * frame below while this one ran. */
void budget_leave(struct budget_frame *frame) {
  struct budget_frame *below = frame->below;
  frame->script->scripts->budget.top = below;
  note_script(below ? below->script : NULL, below ? below->script->name : NULL);
  if (below && below->over) set_hook(below->L);
}

void budget_frame_deinit(struct budget_frame *frame) {
  if (frame->told) buf_deinit(&frame->trace);
}

/* ---- the stop ---- */

bool budget_is_over(lua_State *L) {
  if (!script_of(L)) return false;
  struct budget *budget = budget_of(L);
  if (budget->counting) look(budget);
  return budget->top && budget->top->over;
}

/* "bot.lua:3: ", where the innermost Lua function stands. */
static void put_place(lua_State *L, char *out, size_t size) {
  lua_Debug frame;
  out[0] = '\0';
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline <= 0) continue;
    snprintf(out, size, "%s:%d: ", frame.short_src, frame.currentline);
    return;
  }
}

/* Notes where it was stopped, the first time. May raise Lua's memory error, which stops it as well. */
static void tell(lua_State *L, struct budget_frame *frame, const char *message) {
  char place[LUA_IDSIZE + 16];
  if (frame->told) return;
  frame->trace = (struct buf){0};
  frame->told = true;
  put_place(L, place, sizeof place);
  double limit_s = (double)budget_of(L)->limit_ns / 1e9;
  if (message)
    snprintf(frame->message, sizeof frame->message, "%s", message);
  else
    snprintf(frame->message, sizeof frame->message,
             "%sstopped: it has computed for over %g s without giving way (--cpu-budget)", place, limit_s);
  luaL_traceback(L, L, NULL, 0);
  size_t len;
  const char *trace = lua_tolstring(L, -1, &len);
  buf_add(&frame->trace, trace, len < TRACE_BYTES ? len : TRACE_BYTES);
  lua_pop(L, 1);
}

static bool can_yield(lua_State *L, const struct budget_frame *frame) {
  return frame->can_yield && lua_isyieldable(L);
}

static int raise_again(lua_State *L, const struct budget_frame *frame) {
  lua_pushstring(L, frame->message);
  return lua_error(L);
}

/* A hook that yields has to return; and no value may go with it. */
static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  struct budget *budget = budget_of(L);
  struct budget_frame *frame = budget->top;
  if (budget->counting) count(budget);
  if (!frame || !frame->over) { /* left from an earlier turn, or inherited */
    if (!budget->counting) lua_sethook(L, NULL, 0, 0);
    return;
  }
  set_hook(L);
  tell(L, frame, NULL);
  if (!can_yield(L, frame)) raise_again(L, frame);
  frame->script->host_yield = true;
  lua_yield(L, 0);
}

int budget_stop(lua_State *L, const char *message) {
  struct budget_frame *frame = budget_of(L)->top;
  frame->over = true;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  set_hook(L);
  tell(L, frame, message);
  if (!can_yield(L, frame)) return raise_again(L, frame);
  frame->script->host_yield = true;
  return lua_yield(L, 0);
}

void budget_check(lua_State *L) {
  if (budget_is_over(L)) budget_stop(L, NULL);
}
