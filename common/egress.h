/* Which addresses behind a host name may be connected to: what a customer typed must not lead into the operator's own
 * network. */
#ifndef GS_EGRESS_H
#define GS_EGRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Public unicast addresses; with *allow_private (a bool) also private ones and loopback. Never: this network,
 * link-local, multicast, and where clouds answer with credentials. To be asked after the name was resolved, at each
 * connection: fits gs_http_allow_addresses(). */
bool gs_egress_allowed(void *allow_private, const struct sockaddr *address);
/* The host of a URL ("10.0.0.1", "[::1]", "localhost") is by itself, without resolving anything, one that
 * gs_egress_allowed() refuses. False says nothing about where a name leads. */
bool gs_egress_host_refused(const char *host, bool allow_private);

#endif
