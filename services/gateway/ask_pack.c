/* Packs pushed values; the only file of asking that knows the generated message. */
#include "services/gateway/ask_pack.h"

#include "common/mem.h"
#include "proto/goalsync/v1/fetch.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

void gw_value_id(const struct gw_value *v, char dst[GW_VALUE_ID_TEXT])
{
    snprintf(dst, GW_VALUE_ID_TEXT, "push-%" PRId64 "-%" PRId64, v->link_id, v->slot_us);
}

void *gw_value_pack(const struct gw_value *v, const char *id, int64_t now_us, size_t *ret_len)
{
    Goalsync__V1__FetchCompleted done = GOALSYNC__V1__FETCH_COMPLETED__INIT;
    Goalsync__V1__Observation o = GOALSYNC__V1__OBSERVATION__INIT, *observations[] = {&o};
    char value[GS_DEC_TEXT];

    gs_dec_format(v->value, value);
    o.link_id = v->link_id;
    o.revision = v->revision;
    o.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    o.value = value;
    o.source_at_us = v->source_at_us;
    if (v->note)
        o.note = (char *)(uintptr_t)v->note; /* packing only reads */
    done.request_id = (char *)(uintptr_t)id;
    done.org_id = v->org_id;
    done.connection_id = v->connection_id;
    done.batch_id = v->batch_id;
    done.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PUSHED;
    done.slot_us = v->slot_us;
    done.attempt = 1;
    done.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    done.fetched_at_us = now_us;
    done.observations = observations;
    done.n_observations = 1;
    *ret_len = goalsync__v1__fetch_completed__get_packed_size(&done);
    void *bytes = gs_alloc(*ret_len);
    goalsync__v1__fetch_completed__pack(&done, bytes);
    return bytes;
}
