/* argv to a command. */
#include <malloc.h>
#include <signal.h>

#include "cli/cli.h"
#include "link/stdfd.h"

/* Large blocks come from the system and go back to it. Left to itself, malloc learns to keep them, and then
 * the pages and buffers of a fold lie scattered through a heap of twice their size. */
static void keep_memory_small(void) {
  enum { LARGE_BYTES = 1 << 20 };
  mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
  mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

int main(int argc, char **argv) {
  keep_memory_small();
  stdfd_secure();
  signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write, told like any other */
  return cli_main(argc, argv);
}
