/* Lists of entity tags, as in If-Match (RFC 9110, section 13.1). */
#ifndef GATEWAY_ETAG_H
#define GATEWAY_ETAG_H

#include <stdbool.h>

/* Is tag, like "\"12\"", in the list? "*" holds every tag; a list that is malformed holds none. weak: W/ makes no
 * difference, as for If-None-Match; else a tag with it equals none. */
bool gw_etag_listed(const char *list, const char *tag, bool weak);

#endif
