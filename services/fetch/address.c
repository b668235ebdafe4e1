/* Which addresses a source may have: a customer's host name must not lead into the operator's own network. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "services/fetch/worker.h"

struct range {
    uint32_t net;
    int bits;
};

static bool in_ranges(uint32_t ip, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((ip ^ ranges[i].net) >> (32 - ranges[i].bits) == 0)
            return true;
    }
    return false;
}

static bool v4_allowed(uint32_t ip, bool allow_private)
{
    /* This network, link-local and one shared address (where clouds answer with credentials), multicast, reserved. */
    static const struct range never[] = {
        {0x00000000, 8}, {0xa9fe0000, 16}, {0x646464c8, 32}, {0xe0000000, 4}, {0xf0000000, 4}};
    /* Private, shared (RFC 6598), loopback, benchmarking. */
    static const struct range own[] = {{0x0a000000, 8},  {0xac100000, 12}, {0xc0a80000, 16},
                                       {0x64400000, 10}, {0x7f000000, 8},  {0xc6120000, 15}};

    if (in_ranges(ip, never, sizeof never / sizeof *never))
        return false;
    return allow_private || !in_ranges(ip, own, sizeof own / sizeof *own);
}

static uint32_t last_four(const struct in6_addr *a)
{
    uint32_t ip;

    memcpy(&ip, a->s6_addr + 12, 4);
    return ntohl(ip);
}

/* Public unicast is 2000::/3; of the rest only loopback and unique local addresses can be allowed. */
static bool v6_allowed(const struct in6_addr *a, bool allow_private)
{
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const unsigned char credentials[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}; /* fd00:ec2::254 */

    if (!memcmp(a->s6_addr, credentials, sizeof credentials))
        return false;

    if (IN6_IS_ADDR_V4MAPPED(a) || !memcmp(a->s6_addr, nat64, sizeof nat64))
        return v4_allowed(last_four(a), allow_private);
    if (a->s6_addr[0] == 0x20 && a->s6_addr[1] == 0x02) /* 6to4 carries an IPv4 address within */
        return false;
    if ((a->s6_addr[0] & 0xe0) == 0x20)
        return true;
    return allow_private && (IN6_IS_ADDR_LOOPBACK(a) || (a->s6_addr[0] & 0xfe) == 0xfc);
}

bool fetch_address_allowed(void *allow_private, const struct sockaddr *address)
{
    bool private_too = *(const bool *)allow_private;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return v4_allowed(ntohl(v4.sin_addr.s_addr), private_too);
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return v6_allowed(&v6.sin6_addr, private_too);
    }
    return false;
}
