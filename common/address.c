/* Addresses and ports as text. */
#include "common/address.h"

#include "common/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

bool gs_address_parse(const char *text, struct sockaddr_storage *ret)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    int64_t port;
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len == 0 || len >= sizeof(host) || !gs_parse_int(colon + 1, 0, 65535, &port))
        return false;
    bool v6 = text[0] == '[' && text[len - 1] == ']';
    memcpy(host, text + v6, len - 2 * v6);
    host[len - 2 * v6] = 0;
    memset(ret, 0, sizeof(*ret));
    if (v6)
        return uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret) == 0;
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret) == 0;
}

void gs_address_of(int fd, char *dst)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    char host[64];
    getsockname(fd, (struct sockaddr *)&a, &len);
    gs_address_host((struct sockaddr *)&a, host, sizeof(host));
    if (a.ss_family == AF_INET6)
        snprintf(dst, GS_ADDRESS_TEXT, "[%s]:%d", host, ntohs(((const struct sockaddr_in6 *)&a)->sin6_port));
    else
        snprintf(dst, GS_ADDRESS_TEXT, "%s:%d", host, ntohs(((const struct sockaddr_in *)&a)->sin_port));
}

void gs_address_host(const struct sockaddr *a, char *dst, size_t size)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
    snprintf(dst, size, "?");
    if (a->sa_family == AF_INET)
        uv_ip4_name((const struct sockaddr_in *)a, dst, size);
    else if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], dst, (socklen_t)size);
    else if (a->sa_family == AF_INET6)
        uv_ip6_name(in6, dst, size);
}
