/* The threads of a host: with a name that tools show, and without signals, which are for the program around
 * it to take, on threads of its own. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* name: of at most 15 bytes. False: there is no thread to be had. */
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *ctx), void *ctx);

/* Between these two, threads that a library starts get no signals either, nor does this one. */
void thread_hold_signals(sigset_t *before);
void thread_let_signals(const sigset_t *before);

#endif
