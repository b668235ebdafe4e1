/* Shared by auth_jwt.c and auth_keys.c. */
#ifndef GATEWAY_AUTH_JWT_INTERNAL_H
#define GATEWAY_AUTH_JWT_INTERNAL_H

#include "services/gateway/auth_jwt.h"

enum gw_algorithm { GW_RS256, GW_PS256, GW_ES256 };
enum gw_jwt_type { GW_JWT_ANY, GW_JWT_ACCESS };

struct gw_jwt {
    enum gw_algorithm algorithm;
    enum gw_jwt_type type;
    char kid[GW_JWT_KID_MAX + 1];
    struct gs_json *claims;
    char *signed_text; /* head and body as they came */
    size_t signed_len;
    unsigned char signature[GW_RSA_BITS_MAX / 8];
    size_t signature_len;
};

#endif
