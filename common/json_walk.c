/* Going over a parsed document value by value. */
#include "common/json.h"

#include "common/json_internal.h"

#include <string.h>

static bool is_key(const struct gs_json *j, uint32_t at, const char *key, size_t len)
{
    return j->nodes[at].n == len && memcmp(j->strings + j->nodes[at].at, key, len) == 0;
}

uint32_t gs_json_root(const struct gs_json *j)
{
    return j->n_nodes < 2 ? GS_JSON_NONE : 1;
}

uint32_t gs_json_member(const struct gs_json *j, uint32_t object, const char *key)
{
    size_t len = strlen(key);

    if (gs_json_at_type(j, object) != GS_JSON_OBJECT)
        return GS_JSON_NONE;
    for (uint32_t at = gs_json_first(j, object); at != GS_JSON_NONE; at = gs_json_next(j, object, at))
        if (is_key(j, at - 1, key, len))
            return at;
    return GS_JSON_NONE;
}

/* In an object each value stands behind its key. */
static uint32_t in_parent(const struct gs_json *j, uint32_t parent, uint32_t node)
{
    if (node >= j->nodes[parent].end)
        return GS_JSON_NONE;
    return j->nodes[parent].type == GS_JSON_OBJECT ? node + 1 : node;
}

uint32_t gs_json_first(const struct gs_json *j, uint32_t parent)
{
    enum gs_json_type type = gs_json_at_type(j, parent);

    return type == GS_JSON_OBJECT || type == GS_JSON_ARRAY ? in_parent(j, parent, parent + 1) : GS_JSON_NONE;
}

uint32_t gs_json_next(const struct gs_json *j, uint32_t parent, uint32_t at)
{
    return in_parent(j, parent, j->nodes[at].end);
}

const char *gs_json_key(const struct gs_json *j, uint32_t at, size_t *ret_len)
{
    *ret_len = j->nodes[at - 1].n;
    return j->strings + j->nodes[at - 1].at;
}

enum gs_json_type gs_json_at_type(const struct gs_json *j, uint32_t at)
{
    return at == GS_JSON_NONE ? GS_JSON_MISSING : (enum gs_json_type)j->nodes[at].type;
}

uint32_t gs_json_at_count(const struct gs_json *j, uint32_t at)
{
    return j->nodes[at].n;
}

bool gs_json_at_bool(const struct gs_json *j, uint32_t at)
{
    return gs_json_at_type(j, at) == GS_JSON_BOOL && j->nodes[at].at != 0;
}

const char *gs_json_at_text(const struct gs_json *j, uint32_t at, size_t *ret_len)
{
    const struct gs_json_node *n = &j->nodes[at];

    *ret_len = n->n;
    return n->type == GS_JSON_STRING ? j->strings + n->at : j->text + n->at;
}
