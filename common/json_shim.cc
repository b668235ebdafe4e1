// Walks a JSON text once with simdjson's on-demand parser and writes down its values. On demand, because it leaves
// numbers as they stand: decimals stay exact, and an id of 30 digits does not spoil the document around it.
#include "common/json_internal.h"

#include <simdjson.h>
#include <string.h>

namespace ondemand = simdjson::ondemand;

static_assert(GS_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "padding");

struct gs_json_shim {
    ondemand::parser parser;
};

struct gs_json_shim *gs_json_shim_new(void)
{
    return new gs_json_shim;
}

struct gs_json_shim *gs_json_shim_free(struct gs_json_shim *s)
{
    delete s;
    return nullptr;
}

namespace
{

struct walk {
    struct gs_json *j;
    ondemand::document doc;
    uint8_t *strings; // next free byte
    size_t at;        // of a fault that simdjson does not know about
};

gs_json_fault fault_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::SUCCESS:
        return GS_JSON_FINE;
    case simdjson::UTF8_ERROR:
        return GS_JSON_BAD_UTF8;
    case simdjson::UNCLOSED_STRING:
        return GS_JSON_UNCLOSED_STRING;
    case simdjson::UNESCAPED_CHARS:
        return GS_JSON_CONTROL_CHARACTER;
    case simdjson::STRING_ERROR:
        return GS_JSON_BAD_STRING;
    default:
        return GS_JSON_SYNTAX;
    }
}

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

// RFC 8259 section 6.
bool is_number(const char *p, const char *end)
{
    const char *digits;

    if (p < end && *p == '-')
        p++;
    digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

gs_json_fault fault_at(walk &w, const char *p, gs_json_fault fault)
{
    w.at = static_cast<size_t>(p - w.j->text);
    return fault;
}

gs_json_fault put_number(walk &w, std::string_view token)
{
    const char *begin = token.data(), *end = begin + token.size();

    while (end > begin && is_space(end[-1]))
        end--;
    if (!is_number(begin, end))
        return fault_at(w, begin, GS_JSON_BAD_NUMBER);
    gs_json_push(w.j, GS_JSON_NUMBER, static_cast<uint32_t>(begin - w.j->text), static_cast<uint32_t>(end - begin));
    return GS_JSON_FINE;
}

gs_json_fault put_string(walk &w, ondemand::raw_json_string raw)
{
    std::string_view s;
    uint32_t at = static_cast<uint32_t>(w.strings - reinterpret_cast<uint8_t *>(w.j->strings));

    if (w.j->shim->parser.unescape(raw, w.strings).get(s) != simdjson::SUCCESS)
        return fault_at(w, raw.raw(), GS_JSON_BAD_STRING);
    *w.strings++ = '\0';
    gs_json_push(w.j, GS_JSON_STRING, at, static_cast<uint32_t>(s.size()));
    return GS_JSON_FINE;
}

gs_json_fault put(walk &w, ondemand::value value, unsigned depth);

gs_json_fault put_array(walk &w, ondemand::value &value, unsigned depth)
{
    uint32_t node = gs_json_push(w.j, GS_JSON_ARRAY, 0, 0);
    ondemand::array array;

    if (auto code = value.get_array().get(array))
        return fault_of(code);
    for (auto result : array) {
        ondemand::value element;

        if (auto code = std::move(result).get(element))
            return fault_of(code);
        if (auto fault = put(w, element, depth))
            return fault;
        w.j->nodes[node].n++;
    }
    w.j->nodes[node].end = w.j->n_nodes;
    return GS_JSON_FINE;
}

gs_json_fault put_object(walk &w, ondemand::value &value, unsigned depth)
{
    uint32_t node = gs_json_push(w.j, GS_JSON_OBJECT, 0, 0);
    ondemand::object object;

    if (auto code = value.get_object().get(object))
        return fault_of(code);
    for (auto result : object) {
        ondemand::field field;

        if (auto code = std::move(result).get(field))
            return fault_of(code);
        if (auto fault = put_string(w, field.key()))
            return fault;
        if (auto fault = put(w, field.value(), depth))
            return fault;
        w.j->nodes[node].n++;
    }
    w.j->nodes[node].end = w.j->n_nodes;
    return GS_JSON_FINE;
}

gs_json_fault put_literal(walk &w, std::string_view token)
{
    const char *begin = token.data();

    while (!token.empty() && is_space(token.back()))
        token.remove_suffix(1);
    if (token == "null")
        gs_json_push(w.j, GS_JSON_NULL, 0, 0);
    else if (token == "true" || token == "false")
        gs_json_push(w.j, GS_JSON_BOOL, token == "true", 0);
    else
        return fault_at(w, begin, GS_JSON_SYNTAX);
    return GS_JSON_FINE;
}

gs_json_fault put(walk &w, ondemand::value value, unsigned depth)
{
    ondemand::json_type type;
    ondemand::raw_json_string raw;

    if (depth > w.j->max_depth)
        return GS_JSON_TOO_DEEP;
    if (auto code = value.type().get(type))
        return fault_of(code);
    switch (type) {
    case ondemand::json_type::array:
        return put_array(w, value, depth + 1);
    case ondemand::json_type::object:
        return put_object(w, value, depth + 1);
    case ondemand::json_type::string:
        if (auto code = value.get_raw_json_string().get(raw))
            return fault_of(code);
        return put_string(w, raw);
    case ondemand::json_type::number:
        // A token that is not taken is skipped by simdjson, which then has no opinion on a number's size.
        return put_number(w, value.raw_json_token());
    default:
        return put_literal(w, value.raw_json_token());
    }
}

gs_json_fault put_document(walk &w)
{
    uint32_t node = gs_json_push(w.j, GS_JSON_ARRAY, 0, 0);
    ondemand::array outer;

    if (auto code = w.doc.get_array().get(outer))
        return fault_of(code);
    for (auto result : outer) {
        ondemand::value value;

        if (auto code = std::move(result).get(value))
            return fault_of(code);
        if (w.j->nodes[node].n++ == 1) {
            return fault_at(w, value.raw_json_token().data(), GS_JSON_TRAILING);
        }
        if (auto fault = put(w, value, 0))
            return fault;
    }
    // "1] [2" is an array and something behind it once it is in brackets.
    if (w.doc.current_location().error() != simdjson::OUT_OF_BOUNDS)
        return GS_JSON_TRAILING;
    return w.j->nodes[node].n == 0 ? GS_JSON_NO_VALUE : GS_JSON_FINE;
}

// Where simdjson stands now.
size_t location(walk &w)
{
    const char *p = nullptr;

    if (w.doc.current_location().get(p) != simdjson::SUCCESS || p < w.j->text || p >= w.j->text + w.j->len)
        return 0;
    return static_cast<size_t>(p - w.j->text);
}
} // namespace

enum gs_json_fault gs_json_shim_walk(struct gs_json *j, size_t *ret_at)
{
    walk w{j, {}, reinterpret_cast<uint8_t *>(j->strings), 0};
    gs_json_fault fault;

    *ret_at = 0;
    if (auto code = j->shim->parser.iterate(j->text, j->len, j->text_cap).get(w.doc))
        return fault_of(code);
    fault = put_document(w);
    if (fault != GS_JSON_FINE)
        *ret_at = w.at ? w.at : location(w);
    return fault;
}
