/* The tables of ops/; each is defined in the file of its name. */
#ifndef GATEWAY_OPS_H
#define GATEWAY_OPS_H

#include "services/gateway/call.h"

extern const struct gw_op gw_ops_audit[];
extern const struct gw_op gw_ops_connection[];
extern const struct gw_op gw_ops_integration[];
extern const struct gw_op gw_ops_organisation[];
extern const struct gw_op gw_ops_period[];
extern const struct gw_op gw_ops_person[];
extern const struct gw_op gw_ops_team[];
extern const struct gw_op gw_ops_tenant[];
extern const struct gw_op gw_ops_auth[];
extern const struct gw_op gw_ops_link[];
extern const struct gw_op gw_ops_meta[];
extern const struct gw_op gw_ops_preview[];
extern const struct gw_op gw_ops_sync[];
extern const struct gw_op gw_ops_values[];
extern const struct gw_op gw_ops_token[];
extern const struct gw_op gw_ops_alignment[];
extern const struct gw_op gw_ops_check_in[];
extern const struct gw_op gw_ops_comment[];
extern const struct gw_op gw_ops_feed[];
extern const struct gw_op gw_ops_goal[];
extern const struct gw_op gw_ops_lifecycle[];
extern const struct gw_op gw_ops_copy[];
extern const struct gw_op gw_ops_sheet[];
extern const struct gw_op gw_ops_task[];
extern const struct gw_op gw_ops_transfer[];
extern const struct gw_op gw_ops_webhook[];

#endif
