/* A pushed value as the message that the progress writer reads. */
#ifndef GATEWAY_ASK_PACK_H
#define GATEWAY_ASK_PACK_H

#include "services/gateway/ask.h"

#define GW_VALUE_ID_TEXT 64

/* "push-<link>-<slot>": the same for the same value sent again. */
void gw_value_id(const struct gw_value *v, char dst[GW_VALUE_ID_TEXT]);
/* Owned by the caller. */
void *gw_value_pack(const struct gw_value *v, const char *id, int64_t now_us, size_t *ret_len);

#endif
