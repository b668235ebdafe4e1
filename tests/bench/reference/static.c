/* The bare HTTP reply: libmicrohttpd as the gateway uses it, answering every request with the same bytes.
 *
 *     reference-static BYTES; prints its port, ends with its standard input */
#include "reference.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 4096, BYTES_MAX = 1 << 20 };

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    static int begun;

    (void)url, (void)method, (void)version, (void)upload;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    *upload_size = 0;
    return MHD_queue_response(c, MHD_HTTP_OK, arg);
}

int main(int argc, char **argv)
{
    static char text[BYTES_MAX];
    long bytes = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (bytes < 1 || bytes > BYTES_MAX)
        ref_die("usage", "reference-static BYTES");
    memset(text, 'x', (size_t)bytes);
    struct MHD_Response *r = MHD_create_response_from_buffer((size_t)bytes, text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(r, "Content-Type", "application/json");
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, r, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_END);
    if (!d)
        ref_die("libmicrohttpd", "cannot start");
    printf("%u\n", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    MHD_stop_daemon(d);
    MHD_destroy_response(r);
    return 0;
}
