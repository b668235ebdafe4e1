/* What a caller takes: the header Accept (RFC 9110, section 12.5.1). */
#ifndef GATEWAY_ACCEPT_H
#define GATEWAY_ACCEPT_H

#include <stdbool.h>

/* Is one of types (ended by null) among what accept names? A header that is malformed names everything. */
bool gw_accepts(const char *accept, const char *const *types);

#endif
