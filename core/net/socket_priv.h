/* A bound and listening socket. */
#ifndef NET_SOCKET_PRIV_H
#define NET_SOCKET_PRIV_H

#include <stdint.h>

#include "core/base/err.h"

/* *fd is the caller's, non-blocking, -1 on error; *bound_port is what port 0 became.
 * INVALID the host does not resolve, BUSY the port is taken, IO, NOMEM. */
BASE_MUST_USE enum base_err net__socket_listen(const char *host, uint16_t port, int *fd,
                                               uint16_t *bound_port);

#endif
