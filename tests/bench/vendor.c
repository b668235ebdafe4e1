/* A stand-in for a vendor that takes its time: plain HTTP/1.1 with keep-alive, every request answered with the same
 * number after a fixed delay. A fake: it reads nothing of a request but its end.
 *
 *     bench-vendor PORT DELAY_MS        until SIGTERM; binds 127.0.0.1 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAITING_MAX 65536 /* answers that wait; a power of two */
#define FDS_MAX     70000
#define BODY        1536
#define EVENTS_MAX  512

/* One delay for all, so answers leave in the order in which their requests came: a ring. */
static struct {
    int64_t due_us;
    int fd;
    unsigned generation;
} waiting[WAITING_MAX];
static unsigned first, next;
static unsigned generation[FDS_MAX]; /* of each descriptor: a closed connection's answers are dropped */
static char answer[BODY + 256];
static size_t answer_len;

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void make_answer(void)
{
    char body[BODY + 1];
    int n = snprintf(body, sizeof body,
                     "{\"meta\":{\"version\":\"1.0\"},\"data\":{\"kind\":\"metric\",\"value\":4711.25,\"text\":\"");

    memset(body + n, 'x', BODY - (size_t)n);
    memcpy(body + BODY - 3, "\"}}", 3);
    n = snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", BODY);
    memcpy(answer + n, body, BODY);
    answer_len = (size_t)n + BODY;
}

static int listen_on(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) {
        perror("bench-vendor: listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int listener, int ep)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
}

static void read_requests(int fd, int64_t delay_us)
{
    char in[65536], *p = in, *end;
    ssize_t n = recv(fd, in, sizeof in, 0);

    if (n <= 0) {
        generation[fd]++;
        close(fd);
        return;
    }
    end = in + n;
    while ((p = memmem(p, (size_t)(end - p), "\r\n\r\n", 4))) {
        unsigned at = next++ % WAITING_MAX;

        p += 4;
        waiting[at].due_us = now_us() + delay_us;
        waiting[at].fd = fd;
        waiting[at].generation = generation[fd];
    }
}

/* Sends what is due; returns the milliseconds until the next is. */
static int answer_due(void)
{
    int64_t now = now_us();

    for (; first != next && waiting[first % WAITING_MAX].due_us <= now; first++) {
        int fd = waiting[first % WAITING_MAX].fd;

        if (generation[fd] == waiting[first % WAITING_MAX].generation &&
            send(fd, answer, answer_len, MSG_NOSIGNAL) != (ssize_t)answer_len)
            shutdown(fd, SHUT_RDWR);
    }
    return first == next ? 1000 : (int)((waiting[first % WAITING_MAX].due_us - now) / 1000) + 1;
}

int main(int argc, char **argv)
{
    struct epoll_event ev[EVENTS_MAX] = {{.events = EPOLLIN}};
    int ep, listener;
    int64_t delay_us;

    if (argc != 3) {
        fputs("usage: bench-vendor PORT DELAY_MS\n", stderr);
        return 1;
    }
    delay_us = strtol(argv[2], NULL, 10) * 1000;
    make_answer();
    listener = listen_on(argv[1]);
    ep = epoll_create1(EPOLL_CLOEXEC);
    ev[0].data.fd = listener;
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev[0]);
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS_MAX, answer_due());

        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd == listener)
                accept_all(listener, ep);
            else
                read_requests(ev[i].data.fd, delay_us);
        }
    }
}
