/* Opening a listening socket. */
#include "core/net/socket_priv.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"

enum { PORT_TEXT_SIZE = 6 };

/* One candidate address; errno tells why -1. */
static int listen_on(const struct addrinfo *address)
{
    int on = 1;

    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0) {
        return -1;
    }
    bool failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0;
    /* "::" is all of v6 and leaves "0.0.0.0" on the same port to another listener. */
    failed = failed || (address->ai_family == AF_INET6 &&
                        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0);
    failed = failed || bind(fd, address->ai_addr, address->ai_addrlen) != 0;
    failed = failed || listen(fd, SOMAXCONN) != 0;
    if (failed) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static enum base_err resolve(const char *host, uint16_t port, struct addrinfo **out)
{
    struct addrinfo hints = {
        .ai_family = host[0] == '\0' ? AF_INET : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    char service[PORT_TEXT_SIZE];

    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    int failed = getaddrinfo(host[0] == '\0' ? NULL : host, service, &hints, out);
    if (failed == 0) {
        BASE_ASSERT(*out != NULL);
        return BASE_ERR_OK;
    }
    char text[BASE_LOG_TEXT_SIZE];
    base_log(BASE_LOG_ERROR, "LISTEN_HOST_UNKNOWN", "host=%s reason=\"%s\"",
             base_log_text(text, base_slice_text(host)), gai_strerror(failed));
    *out = NULL;
    return failed == EAI_MEMORY ? BASE_ERR_NOMEM : BASE_ERR_INVALID;
}

static enum base_err read_port(int fd, uint16_t *port)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        base_log(BASE_LOG_ERROR, "LISTEN_FAILED", "call=getsockname errno=%d", errno);
        return BASE_ERR_IO;
    }
    *port = ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                                : ((const struct sockaddr_in *)&address)->sin_port);
    return BASE_ERR_OK;
}

enum base_err net__socket_listen(const char *host, uint16_t port, int *fd, uint16_t *bound_port)
{
    struct addrinfo *addresses = NULL;
    int listening = -1;
    int error = 0;

    BASE_ASSERT(host != NULL);
    *fd = -1;
    *bound_port = 0;
    enum base_err err = resolve(host, port, &addresses);
    if (err != BASE_ERR_OK) {
        return err;
    }
    /* A name may have several addresses; the first that can be bound is the one. */
    for (struct addrinfo *a = addresses; a != NULL && listening < 0; a = a->ai_next) {
        listening = listen_on(a);
        error = errno;
    }
    if (listening < 0) {
        char text[BASE_LOG_TEXT_SIZE];
        base_log(BASE_LOG_ERROR, "LISTEN_FAILED", "host=%s port=%u errno=%d",
                 base_log_text(text, base_slice_text(host)), (unsigned)port, error);
        err = error == EADDRINUSE ? BASE_ERR_BUSY : BASE_ERR_IO;
        goto exit;
    }
    err = read_port(listening, bound_port);
    if (err != BASE_ERR_OK) {
        goto exit;
    }
    *fd = listening;
    listening = -1;

exit:
    if (listening >= 0) {
        (void)close(listening);
    }
    freeaddrinfo(addresses);
    return err;
}
