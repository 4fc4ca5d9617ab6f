/* A standard stream made fit for the loop, without a trace on the outside.
 *
 * O_NONBLOCK belongs to the open file, which we share with the shell and with our neighbours in a pipeline.
 * So pipes and terminals are opened a second time for ourselves; where that is impossible (sockets) the flag
 * is set and put back at the end. */
#ifndef LINK_STDFD_H
#define LINK_STDFD_H

#include <stdbool.h>

struct stdfd {
  int fd;
  bool pollable; /* false: a file or a device that epoll refuses and that never keeps anybody waiting */
  bool own;      /* opened by us */
  int flags;     /* to be put back; -1: none */
};

/* mode is O_RDONLY or O_WRONLY. Cannot fail: at worst the stream stays as it is. */
void stdfd_open(struct stdfd *out, int fd, int mode);
void stdfd_close(struct stdfd *stdfd);

/* At the start of a process: standard streams that are closed are taken up, so that no file of ours gets
 * their numbers. Reading then finds the end, writing to standard output fails, standard error goes nowhere.
 */
void stdfd_secure(void);

#endif
