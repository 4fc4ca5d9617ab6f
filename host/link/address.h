/* An address of the network to listen at: HOST:PORT, [IPV6]:PORT or :PORT; port 0 takes any. */
#ifndef LINK_ADDRESS_H
#define LINK_ADDRESS_H

#include <stdbool.h>

#include "base/err.h"

/* A listening socket, and its port. loopback: only an address of this machine will do. Errors: invalid (what
 * is no address, or not allowed), io. */
enum moonkeep_code address_listen(const char *address, bool loopback, int *fd, unsigned *bound,
                                  struct err *err);

#endif
