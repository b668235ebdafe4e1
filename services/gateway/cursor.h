/* Text that clients carry but can neither read nor make: AES-256-GCM under the gateway's secret. Thread-safe. */
#ifndef GATEWAY_CURSOR_H
#define GATEWAY_CURSOR_H

#include "common/buf.h"

#include <stdbool.h>

/* Once, before any other thread. */
void gw_cursor_init(const char *secret);
/* Appends the sealed text, in letters, digits, "-" and "_". place: opens only where the same was given. False: too
 * long, more than some 3,000 bytes. */
bool gw_cursor_seal(const char *text, const char *place, struct gs_buf *b);
/* False: not made by us, or for another place. */
bool gw_cursor_open(const char *sealed, const char *place, struct gs_buf *ret_text);
/* The same for whole answers; bytes in, bytes out. */
void gw_seal(const void *data, size_t len, const char *place, struct gs_buf *b);
bool gw_unseal(const void *sealed, size_t len, const char *place, struct gs_buf *ret);

#endif
