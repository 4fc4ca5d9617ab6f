/* A host in a child process with a control socket, and clients of it. Its input is a pipe, and closing that
 * ends it. */
#ifndef HELPERS_SERVED_H
#define HELPERS_SERVED_H

#include <stddef.h>
#include <sys/types.h>

struct served {
  char dir[64], data[80];
  pid_t pid;
  int input; /* of the host */
};

struct served serve(const char *script); /* with one bot, or without scripts (NULL) */
int served_end(struct served *served);   /* ends it; its exit status */
int served_wait(struct served *served);  /* the same where it ends by itself */

int dial(const struct served *served);
void say(int fd, const char *text, size_t len);

/* The next line without its newline; "" at the end of the connection. Valid until the next call. */
const char *hear(int fd);
const char *ask(int fd, const char *line);

#define REQUEST(id, method, params)                                                                          \
  "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"

void check_begins(const char *text, const char *with);
void check_holds(const char *text, const char *part);

#endif
