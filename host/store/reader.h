/* The reader thread: it answers single keys many at a time, each batch from one moment, and walks one scan at
 * a time in slices, so that keys never wait for a long scan. */
#ifndef STORE_READER_H
#define STORE_READER_H

#include <pthread.h>

#include "store/job.h"
#include "store/view.h"

struct reader {
  struct view view;
  pthread_mutex_t lock; /* held while the view is used: the commit thread takes it to close the view */
  struct inbox inbox;
  struct outbox *outbox; /* borrowed */
  pthread_t thread;
  struct list scans; /* the thread's own: jobs, the first one is under way */
  bool stopping;
};

/* The inbox, the lock and the view must be made. After a JOB_STOP has been put in, join. */
bool reader_start(struct reader *reader);
void reader_join(struct reader *reader);

#endif
