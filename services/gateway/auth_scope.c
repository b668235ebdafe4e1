/* What a caller may do at all: the scopes of tokens, and of the sign-in service. */
#include "services/gateway/auth_private.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} scope_names[] = {{"read", GW_SCOPE_READ},     {"write", GW_SCOPE_WRITE},   {"admin", GW_SCOPE_ADMIN},
                   {"tenant", GW_SCOPE_TENANT}, {"values", GW_SCOPE_VALUES}, {"bootstrap", GW_SCOPE_BOOTSTRAP}};

static unsigned scope_named(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(scope_names) / sizeof(scope_names[0]); i++)
        if (strlen(scope_names[i].name) == len && memcmp(scope_names[i].name, name, len) == 0)
            return scope_names[i].bit;
    return 0;
}

unsigned gw_scope(const char *name)
{
    return scope_named(name, strlen(name));
}

unsigned gw_scopes(const char *array)
{
    unsigned scopes = 0;

    while (*(array += strspn(array, "{},")) != '\0') {
        size_t len = strcspn(array, "{},");

        scopes |= scope_named(array, len);
        array += len;
    }
    return scopes;
}

void gw_scopes_format(unsigned scopes, char dst[GW_SCOPES_TEXT])
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof(scope_names) / sizeof(scope_names[0]); i++)
        if (scopes & scope_names[i].bit)
            n += (size_t)snprintf(dst + n, GW_SCOPES_TEXT - n, "%s%s", n ? "," : "{", scope_names[i].name);
    snprintf(dst + n, GW_SCOPES_TEXT - n, n ? "}" : "{}");
}
