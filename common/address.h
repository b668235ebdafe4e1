/* Addresses to listen at, as text: numbers only, so that nothing has to be looked up. */
#ifndef GS_ADDRESS_H
#define GS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define GS_ADDRESS_TEXT 80

/* "127.0.0.1:80" or "[::1]:80". */
bool gs_address_parse(const char *text, struct sockaddr_storage *ret);
/* Where a socket listens; dst has GS_ADDRESS_TEXT bytes. */
void gs_address_of(int fd, char *dst);
/* The host alone: "127.0.0.1", "::1"; an IPv4 address in IPv6's clothes is one of IPv4. */
void gs_address_host(const struct sockaddr *a, char *dst, size_t size);

#endif
