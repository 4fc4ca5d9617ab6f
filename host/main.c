/* argv to a command. */
#include <signal.h>

#include "cli/cli.h"
#include "link/stdfd.h"

int main(int argc, char **argv) {
  stdfd_secure();
  signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write, told like any other */
  return cli_main(argc, argv);
}
