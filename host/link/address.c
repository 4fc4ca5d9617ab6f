#include "link/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64, ADDRESS_BYTES = 256 };

/* Splits HOST:PORT; the host is "" for all addresses. */
static bool split_address(const char *address, char *host, const char **port) {
  const char *colon = strrchr(address, ':');
  if (!colon || !colon[1] || (size_t)(colon - address) >= ADDRESS_BYTES) return false;
  size_t len = (size_t)(colon - address);
  bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
  memcpy(host, address + bracketed, len - 2 * bracketed);
  host[len - 2 * bracketed] = '\0';
  *port = colon + 1;
  return strspn(*port, "0123456789") == strlen(*port) && atoi(*port) <= 65535;
}

static int listen_at(const struct addrinfo *at) {
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static unsigned port_of(int fd) {
  struct sockaddr_storage at;
  socklen_t len = sizeof at;
  if (getsockname(fd, (struct sockaddr *)&at, &len) != 0) return 0;
  return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                        : ((struct sockaddr_in *)&at)->sin_port);
}

static bool is_loopback(const struct sockaddr *at) {
  if (at->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)(const void *)at)->sin_addr.s_addr) >> 24 == 127;
  return at->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr);
}

enum moonkeep_code address_listen(const char *address, bool loopback, int *fd, unsigned *bound,
                                  struct err *err) {
  char host[ADDRESS_BYTES];
  const char *port;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
  if (!split_address(address, host, &port))
    return err_set(err, MOONKEEP_INVALID, "\"%.100s\" is no HOST:PORT, such as 127.0.0.1:9464", address);
  int status = getaddrinfo(*host ? host : NULL, port, &hints, &found);
  if (status) return err_set(err, MOONKEEP_INVALID, "%.100s: %s", address, gai_strerror(status));
  bool allowed = !loopback || is_loopback(found->ai_addr);
  *fd = allowed ? listen_at(found) : -1;
  freeaddrinfo(found);
  if (!allowed)
    return err_set(err, MOONKEEP_INVALID, "%.100s is not of this machine alone: use 127.0.0.1 or [::1]",
                   address);
  if (*fd >= 0) {
    *bound = port_of(*fd);
    return MOONKEEP_OK;
  }
  return err_set(err, MOONKEEP_IO, "cannot listen on %.100s: %s", address, strerror(errno));
}
