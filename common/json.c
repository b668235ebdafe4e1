/* JSON for readers: documents as rows of values, looked up by pointer. The parsing itself is json_shim.cc. */
#include "common/json.h"

#include "common/json_internal.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define NO_NODE UINT32_MAX

struct gs_json *gs_json_new(size_t max_bytes, unsigned max_depth)
{
    struct gs_json *j = gs_alloc(sizeof(*j));

    j->max_bytes = max_bytes < GS_JSON_MAX_SIZE ? max_bytes : GS_JSON_MAX_SIZE;
    j->max_depth = max_depth;
    j->shim = gs_json_shim_new();
    return j;
}

static void drop_buffers(struct gs_json *j)
{
    free(j->text);
    free(j->strings);
    free(j->nodes);
    j->text = j->strings = NULL;
    j->nodes = NULL;
    j->text_cap = j->strings_cap = j->cap_nodes = 0;
}

struct gs_json *gs_json_free(struct gs_json *j)
{
    if (!j)
        return NULL;
    drop_buffers(j);
    gs_json_shim_free(j->shim);
    free(j);
    return NULL;
}

uint32_t gs_json_push(struct gs_json *j, enum gs_json_type type, uint32_t at, uint32_t n)
{
    if (j->n_nodes == j->cap_nodes) {
        j->cap_nodes = j->cap_nodes ? j->cap_nodes * 2 : 256;
        j->nodes = gs_realloc_n(j->nodes, j->cap_nodes, sizeof(struct gs_json_node));
    }
    j->nodes[j->n_nodes] = (struct gs_json_node){type, at, n, j->n_nodes + 1};
    return j->n_nodes++;
}

/* ---- parsing ---- */

static void forget(struct gs_json *j)
{
    if (j->text_cap > GS_JSON_KEEP) {
        drop_buffers(j);
        gs_json_shim_free(j->shim);
        j->shim = gs_json_shim_new();
    }
    j->n_nodes = 0;
    j->seen_array = NO_NODE;
}

/* The document becomes the only element of an array, so that a bare number is read as any other, and what stands behind
 * the document shows. */
static void copy_in(struct gs_json *j, const char *text, size_t len)
{
    size_t size = len + 2 + GS_JSON_PADDING;

    if (size > j->text_cap) {
        j->text = gs_realloc_n(j->text, size, 1);
        j->strings = gs_realloc_n(j->strings, size, 1);
        j->text_cap = j->strings_cap = size;
    }
    j->text[0] = '[';
    memcpy(j->text + 1, text, len);
    j->text[len + 1] = ']';
    memset(j->text + len + 2, 0, GS_JSON_PADDING);
    j->len = len + 2;
}

static size_t first_bad_utf8(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

        if (n == 0 || i + n > len)
            return i;
        for (size_t k = 1; k < n; k++)
            if (((unsigned char)text[i + k] & 0xc0) != 0x80)
                return i;
        i += n;
    }
    return len;
}

static size_t first_control_character(const char *text, size_t len)
{
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        if (in_string && (unsigned char)text[i] < 0x20)
            return i;
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
    }
    return len;
}

/* Byte numbers begin with 1, which is also a byte's index behind our bracket. */
static enum gs_rc refuse(const struct gs_json *j, enum gs_json_fault fault, size_t at, struct gs_err *err)
{
    static const char *const words[] = {
        [GS_JSON_SYNTAX] = "its grammar is broken",
        [GS_JSON_BAD_UTF8] = "its text is not UTF-8",
        [GS_JSON_UNCLOSED_STRING] = "a string does not end, so it was cut off or its quotes are wrong",
        [GS_JSON_CONTROL_CHARACTER] = "a string has a control character in it",
        [GS_JSON_BAD_STRING] = "a string has an escape that does not exist",
        [GS_JSON_BAD_NUMBER] = "a number is malformed",
        [GS_JSON_TOO_DEEP] = "it is nested too deeply",
        [GS_JSON_TRAILING] = "something follows its end",
        [GS_JSON_NO_VALUE] = "it holds no value",
    };

    if (fault == GS_JSON_BAD_UTF8)
        at = first_bad_utf8(j->text, j->len);
    else if (fault == GS_JSON_CONTROL_CHARACTER)
        at = first_control_character(j->text, j->len);
    if (at == 0 || at >= j->len)
        return gs_fail(err, GS_REJECT, "this is not JSON: %s", words[fault]);
    if (at == j->len - 1)
        return gs_fail(err, GS_REJECT, "this is not JSON: %s, at its end", words[fault]);
    return gs_fail(err, GS_REJECT, "this is not JSON: %s, at byte %zu", words[fault], at);
}

enum gs_rc gs_json_parse(struct gs_json *j, const char *text, size_t len, struct gs_err *err)
{
    enum gs_json_fault fault;
    size_t at, blank = 0;

    forget(j);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    while (blank < len && strchr(" \t\r\n", text[blank]) && text[blank])
        blank++;
    if (blank == len)
        return gs_fail(err, GS_REJECT, "this is not JSON: it is empty");
    if (text[blank] == '<')
        return gs_fail(err, GS_REJECT, "this is not JSON but HTML or XML");
    if (len > j->max_bytes)
        return gs_fail(err, GS_REJECT, "the JSON has %zu bytes, and %zu are the most that is read", len, j->max_bytes);
    copy_in(j, text, len);
    fault = gs_json_shim_walk(j, &at);
    if (fault == GS_JSON_FINE)
        return GS_OK;
    j->n_nodes = 0;
    return refuse(j, fault, at, err);
}

/* ---- looking up ---- */

/* Compares a key with a pointer's part, in which "~0" stands for '~' and "~1" for '/'. */
static bool key_is(const char *key, size_t key_len, const char *part, size_t part_len)
{
    size_t k = 0;

    for (size_t i = 0; i < part_len; i++, k++) {
        char c = part[i];

        if (c == '~' && i + 1 < part_len && (part[i + 1] == '0' || part[i + 1] == '1'))
            c = part[++i] == '0' ? '~' : '/';
        if (k >= key_len || key[k] != c)
            return false;
    }
    return k == key_len;
}

static uint32_t member(const struct gs_json *j, uint32_t object, const char *part, size_t part_len)
{
    uint32_t node = object + 1;

    for (uint32_t i = 0; i < j->nodes[object].n; i++) {
        const struct gs_json_node *key = &j->nodes[node];

        if (key_is(j->strings + key->at, key->n, part, part_len))
            return node + 1;
        node = j->nodes[node + 1].end;
    }
    return NO_NODE;
}

static uint32_t element(struct gs_json *j, uint32_t array, const char *part, size_t part_len)
{
    uint32_t wanted = 0, i = 0, node = array + 1;

    if (part_len == 0 || part_len > 9 || (part[0] == '0' && part_len > 1))
        return NO_NODE;
    for (size_t k = 0; k < part_len; k++) {
        if (part[k] < '0' || part[k] > '9')
            return NO_NODE;
        wanted = wanted * 10 + (uint32_t)(part[k] - '0');
    }
    if (wanted >= j->nodes[array].n)
        return NO_NODE;
    if (j->seen_array == array && j->seen_index <= wanted) {
        i = j->seen_index;
        node = j->seen_node;
    }
    for (; i < wanted; i++)
        node = j->nodes[node].end;
    j->seen_array = array;
    j->seen_index = wanted;
    j->seen_node = node;
    return node;
}

static uint32_t find(struct gs_json *j, const char *pointer)
{
    uint32_t node = 1;

    if (j->n_nodes < 2)
        return NO_NODE;
    while (*pointer && node != NO_NODE) {
        size_t len;

        if (*pointer++ != '/')
            return NO_NODE;
        len = strcspn(pointer, "/");
        if (j->nodes[node].type == GS_JSON_OBJECT)
            node = member(j, node, pointer, len);
        else if (j->nodes[node].type == GS_JSON_ARRAY)
            node = element(j, node, pointer, len);
        else
            node = NO_NODE;
        pointer += len;
    }
    return node;
}

static const struct gs_json_node *find_type(struct gs_json *j, const char *pointer, enum gs_json_type type)
{
    uint32_t node = find(j, pointer);

    return node != NO_NODE && j->nodes[node].type == type ? &j->nodes[node] : NULL;
}

enum gs_json_type gs_json_type(struct gs_json *j, const char *pointer)
{
    uint32_t node = find(j, pointer);

    return node == NO_NODE ? GS_JSON_MISSING : (enum gs_json_type)j->nodes[node].type;
}

uint32_t gs_json_at(struct gs_json *j, const char *pointer)
{
    uint32_t node = find(j, pointer);

    return node == NO_NODE ? GS_JSON_NONE : node;
}

bool gs_json_string(struct gs_json *j, const char *pointer, const char **ret, size_t *ret_len)
{
    const struct gs_json_node *n = find_type(j, pointer, GS_JSON_STRING);

    if (!n)
        return false;
    *ret = j->strings + n->at;
    *ret_len = n->n;
    return true;
}

bool gs_json_int(struct gs_json *j, const char *pointer, int64_t *ret)
{
    const struct gs_json_node *n = find_type(j, pointer, GS_JSON_NUMBER);
    char digits[24];

    if (!n || n->n >= sizeof(digits))
        return false;
    memcpy(digits, j->text + n->at, n->n);
    digits[n->n] = '\0';
    return gs_parse_int(digits, INT64_MIN, INT64_MAX, ret);
}

bool gs_json_bool(struct gs_json *j, const char *pointer, bool *ret)
{
    const struct gs_json_node *n = find_type(j, pointer, GS_JSON_BOOL);

    if (!n)
        return false;
    *ret = n->at != 0;
    return true;
}

static const char *type_words(enum gs_json_type type)
{
    static const char *const words[] = {
        [GS_JSON_MISSING] = "nothing",  [GS_JSON_NULL] = "null",       [GS_JSON_BOOL] = "true or false",
        [GS_JSON_NUMBER] = "a number",  [GS_JSON_STRING] = "a string", [GS_JSON_ARRAY] = "an array",
        [GS_JSON_OBJECT] = "an object",
    };

    return words[type];
}

enum gs_rc gs_json_decimal(struct gs_json *j, const char *pointer, struct gs_dec *ret, struct gs_err *err)
{
    const struct gs_json_node *n = find_type(j, pointer, GS_JSON_NUMBER);
    struct gs_err cause;

    if (!n)
        return gs_fail(err, GS_REJECT, "%s stands at %s, where a number was expected",
                       type_words(gs_json_type(j, pointer)), *pointer ? pointer : "the root");
    if (gs_dec_parse(j->text + n->at, n->n, ret, &cause) == GS_OK)
        return GS_OK;
    return gs_fail(err, GS_REJECT, "the number at %s: %s", *pointer ? pointer : "the root", cause.text);
}

int64_t gs_json_count(struct gs_json *j, const char *pointer)
{
    uint32_t node = find(j, pointer);

    if (node == NO_NODE || (j->nodes[node].type != GS_JSON_ARRAY && j->nodes[node].type != GS_JSON_OBJECT))
        return -1;
    return j->nodes[node].n;
}

/* A zero inside would make the text another one for whoever reads it as a C string. */
static bool is_plain_string(const struct gs_json *j, const struct gs_json_node *n)
{
    return n->type == GS_JSON_STRING && !memchr(j->strings + n->at, '\0', n->n);
}

enum gs_rc gs_json_each_string(struct gs_json *j, const char *pointer,
                               void (*fn)(void *arg, const char *key, const char *value), void *arg, struct gs_err *err)
{
    const struct gs_json_node *object = find_type(j, pointer, GS_JSON_OBJECT), *key;

    if (!object)
        return gs_fail(err, GS_REJECT, "%s stands at %s, where an object was expected",
                       type_words(gs_json_type(j, pointer)), *pointer ? pointer : "the root");
    key = object + 1;
    for (uint32_t i = 0; i < object->n; i++) {
        const struct gs_json_node *value = key + 1;

        if (!is_plain_string(j, key) || !is_plain_string(j, value)) {
            char name[64];

            gs_str_clean(name, sizeof(name), j->strings + key->at, key->n);
            return gs_fail(err, GS_REJECT, "the member \"%s\" is not plain text", name);
        }
        fn(arg, j->strings + key->at, j->strings + value->at);
        key = &j->nodes[value->end];
    }
    return GS_OK;
}
