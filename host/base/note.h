/* What a host tells about itself while it works, so that it is known after a crash: kept in memory that it
 * shares with the process that watches over it (cli/supervise.h).
 *
 * `note` is NULL where nobody watches; then all of this does nothing. One host in a process is watched. The
 * host's thread writes; the watching process reads when the host has died, and writes before there is a new
 * one. */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOTE_NAME = 256, NOTE_WHY = 128, NOTE_LEFT_OUT = 64, NOTE_STORY = 512 };

struct note {
  /* Which script runs now. */
  volatile bool running;
  char script[NOTE_NAME]; /* its name, or that of the last one */
  const void *of;         /* whose name that is: only compared */
  volatile bool stuck;    /* the host has ended itself, because that script could not be stopped */
  volatile bool stopping; /* it has been told to end: it is not to be started again */

  volatile bool again; /* it ends so that it is started again */
  int64_t again_ms;    /* steady time of the last such end; 0: there was none */

  /* The streams. */
  volatile bool half_read;    /* what was read last is not the end of a line */
  volatile bool half_written; /* likewise */
  volatile uint64_t lines;    /* that were read to their end */

  /* Scripts that were running when the host crashed: they are left out until they are saved. */
  struct note_left_out {
    char name[NOTE_NAME], why[NOTE_WHY];
    volatile bool in_force;
  } left_out[NOTE_LEFT_OUT];
  size_t left_out_count;

  long pid;               /* of the process that watches: who stands for the host */
  unsigned restarts;      /* after crashes, since the beginning */
  char story[NOTE_STORY]; /* of the last crash: a sentence; "" before the first */
  bool story_told;        /* in the log of the host that came after it */
};
extern struct note *note;

/* The process that stands for this one: that which watches over it, where there is one. */
long note_pid(void);

/* From now on code of this script runs, or of none (NULL). */
void note_name(const void *of, const char *name);
static inline void note_script(const void *of, const char *name) {
  if (!note) return;
  if (of && note->of != of) note_name(of, name);
  note->running = of != NULL;
}

/* What has had that address is gone. */
static inline void note_forget(const void *of) {
  if (note && note->of == of) note->of = NULL;
}

/* The script that runs cannot be stopped: ends the process, where somebody watches who starts it again. May
 * be called by a signal handler. */
void note_stuck(void);

/* The script is loaded again, or gone: it is not left out any more. */
void note_let_in(const char *name);

/* What was read and written, of the streams that carry events and actions. */
void note_read(const char *bytes, size_t len);
void note_written(const char *bytes, size_t len);

#endif
