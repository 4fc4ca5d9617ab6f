#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/note.h"
#include "link/signals.h"

enum {
  SHORT_LIFE_MS = 10000, /* a host that crashes before is counted */
  SHORT_LIVES = 5,       /* in a row, after which it is given up */
  FIRST_PAUSE_MS = 100,  /* before the next start; then twice as long each time */
};

struct supervisor {
  struct cli *cli;
  sigset_t signals;   /* that are waited for, and held back meanwhile */
  int flags[3];       /* of the standard streams */
  bool stopping;      /* a signal has come that ends the host */
  unsigned crashes;   /* in a row, each soon after its start */
  int64_t started_ms; /* the host that runs, or has died */
};

static int64_t now_ms(void) {
  return clock_steady_ms(&clock_system);
}

/* ---- signals ---- */

/* SIGHUP only where it is not ignored (nohup). */
static void hold_signals(struct supervisor *supervisor) {
  struct sigaction old;
  sigset_t *set = &supervisor->signals;
  signal(SIGCHLD, SIG_DFL);
  sigemptyset(set);
  sigaddset(set, SIGCHLD);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaddset(set, SIGHUP);
  sigprocmask(SIG_BLOCK, set, NULL);
}

/* What a process has sent to us is passed on: it may have been to us alone. What the kernel sends (Ctrl-C,
 * the end of the terminal) has come to the host too. */
static void take_signal(struct supervisor *supervisor, const siginfo_t *info, pid_t host) {
  if (info->si_signo != SIGHUP || info->si_code > 0) supervisor->stopping = true;
  if (info->si_code <= 0 && host > 0) kill(host, info->si_signo);
}

/* Until the host has ended: its status as waitpid gives it. */
static int wait_for(struct supervisor *supervisor, pid_t host) {
  for (;;) {
    siginfo_t info;
    int status, number = sigwaitinfo(&supervisor->signals, &info);
    if (number < 0) continue;
    if (number != SIGCHLD)
      take_signal(supervisor, &info, host);
    else if (waitpid(host, &status, WNOHANG) == host)
      return status;
  }
}

/* False: it is to end instead. */
static bool pause_for(struct supervisor *supervisor, int64_t ms) {
  int64_t until = now_ms() + ms, left;
  while (!supervisor->stopping && (left = until - now_ms()) > 0) {
    siginfo_t info;
    struct timespec time = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    int number = sigtimedwait(&supervisor->signals, &info, &time);
    if (number > 0 && number != SIGCHLD) take_signal(supervisor, &info, 0);
  }
  return !supervisor->stopping;
}

/* We end as the host did. */
static void die_of(int number) {
  struct rlimit none = {0, 0};
  sigset_t all;
  setrlimit(RLIMIT_CORE, &none); /* the host's own is the one to look at */
  signal(number, SIG_DFL);
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, NULL);
  raise(number);
}

/* ---- after a crash ---- */

static const char *signal_text(int number) {
  const char *text = sigdescr_np(number);
  return text ? text : "a signal";
}

/* A host that has written where it should not may have written here too. */
static void mistrust_note(void) {
  note->script[NOTE_NAME - 1] = '\0';
  if (note->left_out_count > NOTE_LEFT_OUT) note->left_out_count = NOTE_LEFT_OUT;
  for (size_t i = 0; i < note->left_out_count; i++) {
    note->left_out[i].name[NOTE_NAME - 1] = '\0';
    note->left_out[i].why[NOTE_WHY - 1] = '\0';
  }
}

static bool is_left_out(const char *name) {
  for (size_t i = 0; i < note->left_out_count; i++)
    if (note->left_out[i].in_force && strcmp(note->left_out[i].name, name) == 0) return true;
  return false;
}

/* A place in the list; NULL: it is full. */
static struct note_left_out *take_place(void) {
  for (size_t i = 0; i < note->left_out_count; i++)
    if (!note->left_out[i].in_force) return &note->left_out[i];
  return note->left_out_count < NOTE_LEFT_OUT ? &note->left_out[note->left_out_count++] : NULL;
}

/* Who kills the host with SIGKILL (the kernel, where memory is short) has not looked which script is at work.
 */
static bool is_to_blame(int number) {
  bool crashed = number != SIGKILL || note->stuck;
  return crashed && note->running && note->script[0] && !is_left_out(note->script);
}

static bool leave_out(int number) {
  struct note_left_out *place = take_place();
  if (!place) return false;
  memcpy(place->name, note->script, NOTE_NAME);
  if (note->stuck)
    snprintf(place->why, NOTE_WHY, "it was stuck in a computation that could not be stopped");
  else
    snprintf(place->why, NOTE_WHY, "it was running when the host crashed (%s)", signal_text(number));
  place->in_force = true;
  return true;
}

static void tell_story(int number, bool blamed) {
  size_t size = sizeof note->story;
  note->story_told = false;
  const char *what = signal_text(number);
  if (note->stuck)
    snprintf(note->story, size, "the script \"%.100s\" was stuck in a computation that could not be stopped",
             note->script);
  else if (note->running)
    snprintf(note->story, size, "the host crashed (%s) while the script \"%.100s\" was running", what,
             note->script);
  else
    snprintf(note->story, size, "the host crashed (%s) while no script was running", what);
  if (blamed) strncat(note->story, "; it starts again without that script", size - strlen(note->story) - 1);
}

/* The host may have left them without waiting, which is not what others expect. */
static void restore_streams(const struct supervisor *supervisor) {
  for (int fd = 0; fd < 3; fd++)
    if (supervisor->flags[fd] >= 0 && !(supervisor->flags[fd] & O_NONBLOCK))
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void clear_note(void) {
  note->running = note->stuck = note->again = false;
  note->of = NULL;
}

/* Prepares the next start. False: there is none. */
static bool recover(struct supervisor *supervisor, int number) {
  mistrust_note();
  bool blamed = is_to_blame(number) && leave_out(number);
  supervisor->crashes = now_ms() - supervisor->started_ms < SHORT_LIFE_MS ? supervisor->crashes + 1 : 1;
  tell_story(number, blamed);
  restore_streams(supervisor);
  clear_note();
  note->restarts++;
  if (blamed) {
    supervisor->crashes = 0; /* without that script it is another host */
    return true;
  }
  if (supervisor->crashes >= SHORT_LIVES) {
    console_complain(&supervisor->cli->console,
                     "%s; it has crashed %u times soon after its start, and is given up", note->story,
                     supervisor->crashes);
    return false;
  }
  return pause_for(supervisor, (int64_t)FIRST_PAUSE_MS << (supervisor->crashes - 1));
}

/* ---- after an end that is no end ---- */

static void begin_again(const struct supervisor *supervisor) {
  note->stopping = false;
  restore_streams(supervisor);
  clear_note();
}

/* ---- the life of it ---- */

static enum exit_status be_the_host(struct supervisor *supervisor, pid_t parent,
                                    enum exit_status (*host)(struct cli *cli)) {
  sigset_t child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_FAILED); /* it has died before it could be noticed */
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &child, NULL); /* the others are held back until signals_take */
  signals_passed_on_by(parent);
  return host(supervisor->cli);
}

/* Whether the signal was meant to end the host: one that we know of, or one that it has got alone. */
static bool was_meant(const struct supervisor *supervisor, int number) {
  return supervisor->stopping || note->stopping || number == SIGTERM || number == SIGINT || number == SIGHUP;
}

static bool open_note(void) {
  void *shared = mmap(NULL, sizeof *note, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return false;
  note = shared;
  note->pid = (long)getpid();
  return true;
}

enum exit_status supervise(struct cli *cli, enum exit_status (*host)(struct cli *cli)) {
  struct supervisor supervisor = {.cli = cli};
  pid_t parent = getpid();
  if (!open_note()) {
    console_complain(&cli->console,
                     "no memory to share with a process that watches over the host: %s; it runs alone",
                     strerror(errno));
    return host(cli);
  }
  hold_signals(&supervisor);
  for (int fd = 0; fd < 3; fd++) supervisor.flags[fd] = fcntl(fd, F_GETFL);
  for (;;) {
    supervisor.started_ms = now_ms();
    pid_t child = fork();
    if (child == 0) return be_the_host(&supervisor, parent, host);
    if (child < 0) {
      console_complain(&cli->console, "cannot start the host: %s", strerror(errno));
      return EXIT_FAILED;
    }
    int status = wait_for(&supervisor, child);
    if (WIFEXITED(status) && note->again && !supervisor.stopping) {
      begin_again(&supervisor);
      continue;
    }
    if (WIFEXITED(status)) return (enum exit_status)WEXITSTATUS(status);
    if (was_meant(&supervisor, WTERMSIG(status))) die_of(WTERMSIG(status));
    if (!recover(&supervisor, WTERMSIG(status))) return supervisor.stopping ? EXIT_DONE : EXIT_FAILED;
  }
}
