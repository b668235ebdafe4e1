/* Addresses, as bytes and as text: what leads into a private network is refused in whatever clothes. */
#include "common/address.h"
#include "common/egress.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool allowed(const struct sockaddr_storage *a, bool own)
{
    return gs_egress_allowed(&own, (const struct sockaddr *)a);
}

/* An address written down is the same address; who may ask private ones may ask all others, too; and a host that is an
 * address is refused just when the address is. */
static void judge(const struct sockaddr_storage *a)
{
    struct sockaddr_storage again;
    char host[64], url_host[72], text[GS_ADDRESS_TEXT];

    MUST(!allowed(a, false) || allowed(a, true));
    gs_address_host((const struct sockaddr *)a, host, sizeof(host));
    if (strchr(host, '%')) /* an interface of ours: never asked of a URL */
        return;
    snprintf(url_host, sizeof(url_host), strchr(host, ':') ? "[%s]" : "%s", host);
    for (int own = 0; own < 2; own++)
        MUST(gs_egress_host_refused(url_host, own) == !allowed(a, own));
    snprintf(text, sizeof(text), "%s:1", url_host);
    MUST(gs_address_parse(text, &again));
    MUST(allowed(&again, false) == allowed(a, false) && allowed(&again, true) == allowed(a, true));
}

static void as_bytes(const uint8_t *data, size_t size)
{
    struct sockaddr_storage a = {0};

    if (size == 4) {
        a.ss_family = AF_INET;
        memcpy(&((struct sockaddr_in *)&a)->sin_addr, data, 4);
        judge(&a);
    } else if (size == 16) {
        a.ss_family = AF_INET6;
        memcpy(&((struct sockaddr_in6 *)&a)->sin6_addr, data, 16);
        judge(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage a;
    char *text = malloc(size + 1);

    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    as_bytes(data, size);
    if (gs_address_parse(text, &a))
        judge(&a);
    MUST(!gs_egress_host_refused(text, true) || gs_egress_host_refused(text, false));
    free(text);
    return 0;
}
