/* Ranges of addresses, and which of them may be connected to. */
#include "common/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
    /* This network, link-local, multicast, reserved; and where clouds answer their machines with credentials, though
     * the addresses are shared (Alibaba), the protocols' own (Oracle) or even public (Azure). */
    static const struct range never[] = {{0x00000000, 8},  {0xa9fe0000, 16}, {0xe0000000, 4}, {0xf0000000, 4},
                                         {0x646464c8, 32}, {0xc0000000, 24}, {0xa83f8110, 32}};
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
    static const unsigned char credentials[][16] = {
        {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54},  /* fd00:ec2::254 */
        {0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}}; /* fd20:ce::254 */

    for (size_t i = 0; i < sizeof credentials / sizeof *credentials; i++)
        if (!memcmp(a->s6_addr, credentials[i], sizeof credentials[i]))
            return false;
    if (IN6_IS_ADDR_V4MAPPED(a) || !memcmp(a->s6_addr, nat64, sizeof nat64))
        return v4_allowed(last_four(a), allow_private);
    if (a->s6_addr[0] == 0x20 && a->s6_addr[1] == 0x02) /* 6to4 carries an IPv4 address within */
        return false;
    if (a->s6_addr[0] == 0x20 && a->s6_addr[1] == 0x01 && !a->s6_addr[2] && !a->s6_addr[3]) /* and so does Teredo */
        return false;
    if ((a->s6_addr[0] & 0xe0) == 0x20)
        return true;
    return allow_private && (IN6_IS_ADDR_LOOPBACK(a) || (a->s6_addr[0] & 0xfe) == 0xfc);
}

bool gs_egress_allowed(void *allow_private, const struct sockaddr *address)
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

/* Also "2130706433", "0x7f.1" and "127.1", which the system takes for addresses as well. */
static bool is_v4(const char *host, struct sockaddr_in *ret)
{
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    return inet_aton(host, &ret->sin_addr) != 0;
}

static bool is_v6(const char *host, struct sockaddr_in6 *ret)
{
    char text[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    *ret = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (len < 4 || len - 2 >= sizeof text || host[0] != '[' || host[len - 1] != ']')
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(len - 2), host + 1);
    return inet_pton(AF_INET6, text, &ret->sin6_addr) == 1;
}

/* RFC 6761: localhost and what ends with it. */
static bool is_local_name(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), n = sizeof name - 1;

    if (len > 0 && host[len - 1] == '.')
        len--;
    return len >= n && strncasecmp(host + len - n, name, n) == 0 && (len == n || host[len - n - 1] == '.');
}

bool gs_egress_host_refused(const char *host, bool allow_private)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (is_v4(host, &v4))
        return !gs_egress_allowed(&allow_private, (struct sockaddr *)&v4);
    if (is_v6(host, &v6))
        return !gs_egress_allowed(&allow_private, (struct sockaddr *)&v6);
    return !allow_private && is_local_name(host);
}
