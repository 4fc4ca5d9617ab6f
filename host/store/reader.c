#include "store/reader.h"

#include "base/thread.h"

#ifndef READER_SLICE_ROWS
#define READER_SLICE_ROWS 500 /* of a scan, before waiting loads get their turn */
#endif
#ifndef READER_BATCH_LOADS
#define READER_BATCH_LOADS 1000 /* from one moment, before a scan gets its turn */
#endif

static void load(struct reader *reader, struct load_job *load) {
  struct err err;
  if (view_load(&reader->view, load->bucket, load->key, load->key_len, &load->value, &err))
    job_fail(&load->job, &err);
  outbox_put(reader->outbox, &load->job);
}

/* Puts away what is not a load; false when it was one. */
static bool is_other(struct reader *reader, struct job *job) {
  if (job->kind == JOB_LOAD) return false;
  if (job->kind == JOB_STOP)
    reader->stopping = true;
  else
    list_add(&reader->scans, &job->link);
  return true;
}

/* The batch is gathered before its moment begins: a load that is asked for later may want to see a later one.
 */
static void gather_loads(struct reader *reader, struct job *job, struct list *batch) {
  list_init(batch);
  for (int i = 0; job; job = i < READER_BATCH_LOADS ? inbox_take(&reader->inbox, 0) : NULL) {
    if (is_other(reader, job)) continue;
    list_add(batch, &job->link);
    i++;
  }
}

static void run_loads(struct reader *reader, struct job *first) {
  struct err err;
  struct list batch;
  gather_loads(reader, first, &batch);
  enum moonkeep_code code = view_begin_loads(&reader->view, &err);
  for (struct list *link; (link = list_pop(&batch));) {
    struct job *job = list_of(link, struct job, link);
    if (!code) {
      load(reader, list_of(job, struct load_job, job));
      continue;
    }
    job_fail(job, &err);
    outbox_put(reader->outbox, job);
  }
  view_end_loads(&reader->view);
}

static void run_scan(struct reader *reader, struct job *job) {
  struct err err;
  bool done;
  struct scan *scan = &list_of(job, struct scan_job, job)->scan;
  enum moonkeep_code code = view_scan(&reader->view, scan, READER_SLICE_ROWS, &done, &err);
  if (!code && !done) return;
  view_end_scan(&reader->view, scan);
  list_take(&job->link);
  if (code) job_fail(job, &err);
  outbox_put(reader->outbox, job);
}

static void *reader_main(void *arg) {
  struct reader *reader = arg;
  while (!reader->stopping || !list_empty(&reader->scans)) {
    struct job *job = inbox_take(&reader->inbox, list_empty(&reader->scans) ? -1 : 0);
    pthread_mutex_lock(&reader->lock);
    if (job && !is_other(reader, job)) run_loads(reader, job);
    if (!list_empty(&reader->scans)) run_scan(reader, list_of(reader->scans.next, struct job, link));
    pthread_mutex_unlock(&reader->lock);
  }
  return NULL;
}

bool reader_start(struct reader *reader) {
  list_init(&reader->scans);
  return thread_start(&reader->thread, "reader", reader_main, reader);
}

void reader_join(struct reader *reader) {
  pthread_join(reader->thread, NULL);
  view_close(&reader->view);
}
