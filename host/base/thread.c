#include "base/thread.h"

/* All but those that tell a thread of its own fault. */
void thread_hold_signals(sigset_t *before) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t all;
  sigfillset(&all);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

void thread_let_signals(const sigset_t *before) {
  pthread_sigmask(SIG_SETMASK, before, NULL);
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *ctx), void *ctx) {
  sigset_t before;
  thread_hold_signals(&before);
  bool started = pthread_create(thread, NULL, run, ctx) == 0;
  thread_let_signals(&before);
  if (started) pthread_setname_np(*thread, name);
  return started;
}
