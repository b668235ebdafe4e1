/* Asks the kernel about a socket; alone, because the kernel's header and the C library's exclude each other. */
#include "services/fetch/wire_postgres_conn.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

uint64_t fetch_pg_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}
