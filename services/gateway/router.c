/* Finding the operation of a path: a tree of the document's segments. Names go before parameters. */
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/document_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- making it ---- */

static struct gw_node *child(struct gw_node *parent, const char *segment, size_t len)
{
    bool any = segment[0] == '{';
    struct gw_node **at = &parent->children;

    for (; *at; at = &(*at)->sibling) {
        const char *s = (*at)->segment;
        if (any ? !s : s && strlen(s) == len && memcmp(s, segment, len) == 0)
            return *at;
    }
    struct gw_node *n = gs_alloc(sizeof(*n));
    n->segment = any ? NULL : gs_strndup(segment, len);
    *at = n; /* a parameter is asked last, wherever it stands */
    return n;
}

bool gw_routes_add(struct gw_document *d, const struct gw_operation *op, size_t method, struct gs_err *err)
{
    struct gw_node *n = &d->root;
    const char *at = op->path;
    int segments = 0;

    while (*at == '/' && segments++ < GW_SEGMENTS_MAX) {
        size_t len = strcspn(++at, "/");
        n = child(n, at, len);
        at += len;
    }
    if (*at || n == &d->root || n->by_method[method]) {
        gs_fail(err, GS_REJECT, "the API's description: %s is %s", op->path,
                n->by_method[method] ? "the same as another path" : "no path, or one with too many segments");
        return false;
    }
    n->by_method[method] = op;
    n->is_path = true;
    return true;
}

static void free_nodes(struct gw_node *n)
{
    while (n) {
        struct gw_node *next = n->sibling;
        free_nodes(n->children);
        free(n->segment);
        free(n);
        n = next;
    }
}

void gw_routes_free(struct gw_document *d)
{
    free_nodes(d->root.children);
    d->root.children = NULL;
}

/* ---- asking it ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_clean_text(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = gs_utf8_char(s + i, len - i);
        if (n == 0 || (unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
        i += n;
    }
    return true;
}

bool gw_percent_decode(const char *s, size_t len, bool plus, char *dst, size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] != '%') {
            dst[n++] = plus && s[i] == '+' ? ' ' : s[i];
            continue;
        }
        if (len - i < 3 || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
            return false;
        dst[n++] = (char)(hex_value(s[i + 1]) << 4 | hex_value(s[i + 2]));
        i += 2;
    }
    dst[n] = '\0';
    *ret_len = n;
    return is_clean_text(dst, n);
}

struct walk {
    const char *segments[GW_SEGMENTS_MAX];
    size_t lengths[GW_SEGMENTS_MAX];
    int n;
};

/* A slash that was sent as %2F is none that divides: whoever wants one in a name does not get past us by it. */
static bool split(const char *path, size_t len, char *buf, struct walk *w)
{
    const char *end = path + len;

    while (path < end) {
        const char *begin = path + 1, *next;
        if (*path != '/' || w->n == GW_SEGMENTS_MAX)
            return false;
        next = memchr(begin, '/', (size_t)(end - begin));
        next = next ? next : end;
        if (!gw_percent_decode(begin, (size_t)(next - begin), false, buf, &w->lengths[w->n]) || strchr(buf, '/'))
            return false;
        w->segments[w->n] = buf;
        buf += w->lengths[w->n++] + 1;
        path = next;
    }
    return true;
}

static const struct gw_node *find(const struct gw_node *n, const struct walk *w, int i, int n_values,
                                  struct gw_match *m)
{
    const struct gw_node *any = NULL, *found;

    if (i == w->n)
        return n->is_path ? n : NULL;
    for (const struct gw_node *c = n->children; c; c = c->sibling) {
        if (!c->segment) {
            any = c;
        } else if (gs_str_eq(c->segment, w->segments[i])) {
            found = find(c, w, i + 1, n_values, m);
            if (found)
                return found;
        }
    }
    if (!any || !*w->segments[i])
        return NULL;
    m->values[n_values] = w->segments[i];
    return find(any, w, i + 1, n_values + 1, m);
}

enum gw_route gw_document_route(const struct gw_document *d, const char *method, const char *path, size_t len,
                                char *buf, struct gw_match *ret)
{
    struct walk w = {.n = 0};
    const struct gw_node *n;

    *ret = (struct gw_match){0};
    if (!split(path, len, buf, &w))
        return GW_BAD_PATH;
    n = w.n > 0 ? find(&d->root, &w, 0, 0, ret) : NULL;
    if (!n)
        return GW_NO_PATH;
    ret->by_method = n->by_method;
    for (size_t i = 0; i < GW_METHODS; i++)
        if (n->by_method[i] && gs_str_eq(method, gw_methods[i]))
            ret->op = n->by_method[i];
    return ret->op ? GW_FOUND : GW_NO_METHOD;
}
