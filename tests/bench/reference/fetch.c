/* The bare fetch: libcurl's multi socket API over epoll, easy handles kept, bodies copied and thrown away; nothing
 * else.
 *
 *     reference-fetch BASE_URL REQUESTS IN_FLIGHT CA_FILE
 *
 * Asks BASE_URL/1 ... BASE_URL/REQUESTS after a warm-up of a tenth of them. */
#include "reference.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BODY_MAX   65536
#define SOCKETS    65536
#define EVENTS_MAX 256

struct request {
    CURL *easy;
    char body[BODY_MAX];
    size_t len;
};

static struct {
    CURLM *multi;
    const char *base;
    int epoll;
    double deadline; /* 0: none */
    long started, finished, failed, limit;
    bool watched[SOCKETS];
} loop;

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct request *r = arg;

    if (r->len + size * n > BODY_MAX)
        return 0;
    memcpy(r->body + r->len, data, size * n);
    r->len += size * n;
    return size * n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct epoll_event ev = {.data.fd = fd};

    (void)easy, (void)arg, (void)socket_arg;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop.epoll, EPOLL_CTL_DEL, fd, &ev);
        loop.watched[fd] = false;
        return 0;
    }
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    epoll_ctl(loop.epoll, loop.watched[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
    loop.watched[fd] = true;
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi, (void)arg;
    loop.deadline = ms < 0 ? 0 : ref_now() + (double)ms * 1e-3;
    return 0;
}

static void start(struct request *r)
{
    char url[512];

    snprintf(url, sizeof url, "%s/%ld", loop.base, ++loop.started);
    curl_easy_setopt(r->easy, CURLOPT_URL, url);
    r->len = 0;
    curl_multi_add_handle(loop.multi, r->easy);
}

static void drain(void)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(loop.multi, &left))) {
        struct request *r;
        CURLcode rc = m->data.result;
        long status = 0;

        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        loop.failed += rc != CURLE_OK || status != 200;
        curl_multi_remove_handle(loop.multi, r->easy);
        loop.finished++;
        if (loop.started < loop.limit)
            start(r);
    }
}

static void due(void)
{
    int running;

    while (loop.deadline > 0 && loop.deadline <= ref_now()) {
        loop.deadline = 0;
        curl_multi_socket_action(loop.multi, CURL_SOCKET_TIMEOUT, 0, &running);
        drain();
    }
}

static void run(struct request *requests, long in_flight, long limit)
{
    struct epoll_event ev[EVENTS_MAX];
    int running;

    loop.started = loop.finished = 0;
    loop.limit = limit;
    for (long i = 0; i < in_flight && loop.started < limit; i++)
        start(&requests[i]);
    due();
    while (loop.finished < limit) {
        double wait = loop.deadline > 0 ? loop.deadline - ref_now() : 1;
        int n = epoll_wait(loop.epoll, ev, EVENTS_MAX, wait <= 0 ? 0 : (int)(wait * 1e3) + 1);

        for (int i = 0; i < n; i++)
            curl_multi_socket_action(loop.multi, ev[i].data.fd,
                                     (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                                         (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                                         (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
                                     &running);
        drain();
        due();
    }
}

static void prepare(struct request *r, struct curl_slist *headers, const char *ca)
{
    r->easy = curl_easy_init();
    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(r->easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, 30000L);
}

int main(int argc, char **argv)
{
    struct curl_slist *headers = NULL;
    struct request *requests;
    long n, in_flight;
    double cpu, began;

    if (argc != 5)
        ref_die("usage", "reference-fetch BASE_URL REQUESTS IN_FLIGHT CA_FILE");
    n = strtol(argv[2], NULL, 10);
    in_flight = strtol(argv[3], NULL, 10);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    loop.base = argv[1];
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    loop.multi = curl_multi_init();
    curl_multi_setopt(loop.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(loop.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop.multi, CURLMOPT_MAXCONNECTS, in_flight * 2);
    headers = curl_slist_append(headers, "Authorization: Bearer 8f0e6a1c2b7d4e5f9a3b6c7d8e9f0a1b2c3d4e5f");
    headers = curl_slist_append(headers, "Accept: application/json");
    requests = calloc((size_t)in_flight, sizeof *requests);
    if (!requests)
        ref_die("memory", "is out");
    for (long i = 0; i < in_flight; i++)
        prepare(&requests[i], headers, argv[4]);
    run(requests, in_flight, n / 10 > in_flight ? n / 10 : in_flight);
    cpu = ref_cpu();
    began = ref_now();
    run(requests, in_flight, n);
    ref_report(n, ref_now() - began, ref_cpu() - cpu, 0);
    return loop.failed ? 1 : 0;
}
