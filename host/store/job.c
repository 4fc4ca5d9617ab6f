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

/* ---- a pile: what came last lies on top ---- */

/* Whether it was empty before. */
static bool pile_up(_Atomic(struct list *) *newest, struct list *link) {
  struct list *below = atomic_load(newest);
  do {
    link->next = below;
  } while (!atomic_compare_exchange_weak(newest, &below, link));
  return !below;
}

/* Takes all of it, in the order in which it came. */
static void take_pile(_Atomic(struct list *) *newest, struct list *out) {
  struct list *link = atomic_exchange(newest, NULL), *turned = NULL;
  while (link) {
    struct list *below = link->next;
    link->next = turned;
    turned = link;
    link = below;
  }
  while (turned) {
    struct list *next = turned->next;
    list_add(out, turned);
    turned = next;
  }
}

/* ---- inbox ---- */

/* What the thread does. Whoever changes SLEEPING or OVERDUE to AWAKE posts `filled`, once, and the thread
 * takes that in before it goes on; it alone makes itself SLEEPING. */
enum {
  AWAKE,
  SLEEPING, /* it waits, with nothing in hand */
  LENT,     /* the same, and another thread has its place */
  OVERDUE,  /* and its wait is over: it goes on when it has its place back */
};

static bool change(struct inbox *inbox, int from, int to) {
  return atomic_compare_exchange_strong(&inbox->state, &from, to);
}

bool inbox_init(struct inbox *inbox) {
  atomic_init(&inbox->newest, NULL);
  atomic_init(&inbox->state, AWAKE);
  inbox->stirred = false;
  list_init(&inbox->taken);
  return sem_init(&inbox->filled, 0, 0) == 0;
}

void inbox_deinit(struct inbox *inbox) {
  sem_destroy(&inbox->filled);
}

void inbox_put(struct inbox *inbox, struct job *job) {
  pile_up(&inbox->newest, &job->link);
  if (change(inbox, SLEEPING, AWAKE)) sem_post(&inbox->filled);
}

/* Whether it was woken before the deadline (NULL: there is none). */
static bool sleep_until_filled(struct inbox *inbox, const struct timespec *deadline) {
  int rc;
  do {
    rc = deadline ? sem_clockwait(&inbox->filled, CLOCK_MONOTONIC, deadline) : sem_wait(&inbox->filled);
  } while (rc != 0 && errno == EINTR);
  return rc == 0;
}

/* The wait is over without a word from anybody: as soon as nobody has its place. */
static void get_up(struct inbox *inbox) {
  while (!change(inbox, SLEEPING, AWAKE)) {
    if (atomic_load(&inbox->state) != AWAKE && !change(inbox, LENT, OVERDUE)) continue;
    sleep_until_filled(inbox, NULL);
    return;
  }
}

/* Before it sleeps it says so, and then looks once more: whoever puts a job in looks in the other order, so
 * that one of the two sees the other. */
struct job *inbox_take(struct inbox *inbox, int wait_ms) {
  struct timespec deadline = {0};
  if (wait_ms > 0) deadline = clock_in_ms(wait_ms);
  bool in_time = wait_ms != 0;
  take_pile(&inbox->newest, &inbox->taken);
  while (list_empty(&inbox->taken) && in_time) {
    atomic_store(&inbox->state, SLEEPING);
    bool filled = atomic_load(&inbox->newest);
    if (!filled) in_time = sleep_until_filled(inbox, wait_ms > 0 ? &deadline : NULL);
    if (filled || !in_time) get_up(inbox);
    atomic_load(&inbox->state); /* AWAKE; what was done in its place is seen from here on */
    in_time = in_time && !inbox->stirred;
    inbox->stirred = false;
    take_pile(&inbox->newest, &inbox->taken);
  }
  struct list *link = list_pop(&inbox->taken);
  return link ? list_of(link, struct job, link) : NULL;
}

bool inbox_borrow(struct inbox *inbox) {
  if (!change(inbox, SLEEPING, LENT)) return false;
  if (!atomic_load(&inbox->newest)) return true;
  inbox_give_back(inbox, false);
  return false;
}

void inbox_give_back(struct inbox *inbox, bool wake) {
  inbox->stirred = wake;
  if (!change(inbox, LENT, SLEEPING))
    atomic_store(&inbox->state, AWAKE); /* it was overdue */
  else if ((!wake && !atomic_load(&inbox->newest)) || !change(inbox, SLEEPING, AWAKE))
    return;
  sem_post(&inbox->filled);
}

/* ---- outbox ---- */

bool outbox_init(struct outbox *outbox) {
  atomic_init(&outbox->newest, NULL);
  outbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return outbox->fd >= 0;
}

void outbox_deinit(struct outbox *outbox) {
  close(outbox->fd);
}

void outbox_put(struct outbox *outbox, struct job *job) {
  if (pile_up(&outbox->newest, &job->link)) eventfd_write(outbox->fd, 1);
}

void outbox_add(struct outbox *outbox, struct job *job) {
  pile_up(&outbox->newest, &job->link);
}

void outbox_take_all(struct outbox *outbox, struct list *jobs) {
  eventfd_t ignored;
  eventfd_read(outbox->fd, &ignored);
  take_pile(&outbox->newest, jobs);
}
