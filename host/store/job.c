#include "store/job.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

struct err job_no_memory = {.code = MOONKEEP_MEMORY, .message = "out of memory"};

struct err *job_err_copy(const struct err *err) {
  struct err *copy = mem_alloc(sizeof *copy);
  if (!copy) return &job_no_memory;
  *copy = *err;
  return copy;
}

void job_fail(struct job *job, const struct err *err) {
  job->err = job_err_copy(err);
}

void job_err_free(struct err *err) {
  if (err != &job_no_memory) mem_free(err);
}

bool inbox_init(struct inbox *inbox) {
  list_init(&inbox->jobs);
  pthread_condattr_t steady;
  if (pthread_condattr_init(&steady) != 0) return false;
  pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&inbox->filled, &steady);
  pthread_condattr_destroy(&steady);
  if (rc != 0) return false;
  if (pthread_mutex_init(&inbox->lock, NULL) == 0) return true;
  pthread_cond_destroy(&inbox->filled);
  return false;
}

void inbox_deinit(struct inbox *inbox) {
  pthread_cond_destroy(&inbox->filled);
  pthread_mutex_destroy(&inbox->lock);
}

void inbox_put(struct inbox *inbox, struct job *job) {
  pthread_mutex_lock(&inbox->lock);
  bool was_empty = list_empty(&inbox->jobs);
  list_add(&inbox->jobs, &job->link);
  pthread_mutex_unlock(&inbox->lock);
  if (was_empty) pthread_cond_signal(&inbox->filled);
}

struct job *inbox_take(struct inbox *inbox, int wait_ms) {
  struct timespec deadline = {0};
  if (wait_ms > 0) deadline = clock_in_ms(wait_ms);
  pthread_mutex_lock(&inbox->lock);
  int rc = 0;
  while (list_empty(&inbox->jobs) && wait_ms != 0 && rc != ETIMEDOUT)
    rc = wait_ms < 0 ? pthread_cond_wait(&inbox->filled, &inbox->lock)
                     : pthread_cond_timedwait(&inbox->filled, &inbox->lock, &deadline);
  struct list *link = list_pop(&inbox->jobs);
  pthread_mutex_unlock(&inbox->lock);
  return link ? list_of(link, struct job, link) : NULL;
}

bool outbox_init(struct outbox *outbox) {
  list_init(&outbox->jobs);
  outbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (outbox->fd < 0) return false;
  if (pthread_mutex_init(&outbox->lock, NULL) == 0) return true;
  close(outbox->fd);
  return false;
}

void outbox_deinit(struct outbox *outbox) {
  close(outbox->fd);
  pthread_mutex_destroy(&outbox->lock);
}

void outbox_put(struct outbox *outbox, struct job *job) {
  pthread_mutex_lock(&outbox->lock);
  bool was_empty = list_empty(&outbox->jobs);
  list_add(&outbox->jobs, &job->link);
  pthread_mutex_unlock(&outbox->lock);
  if (was_empty) eventfd_write(outbox->fd, 1);
}

void outbox_take_all(struct outbox *outbox, struct list *jobs) {
  eventfd_t ignored;
  eventfd_read(outbox->fd, &ignored);
  list_init(jobs);
  pthread_mutex_lock(&outbox->lock);
  list_join(jobs, &outbox->jobs);
  pthread_mutex_unlock(&outbox->lock);
}
