/* The operations there are: one table for each file of ops/. */
#include "services/gateway/ops.h"

const struct gw_op *const gw_ops[] = {
    gw_ops_audit,      gw_ops_webhook,     gw_ops_auth,
    gw_ops_link,       gw_ops_meta,        gw_ops_preview,
    gw_ops_sync,       gw_ops_values,      gw_ops_token,
    gw_ops_alignment,  gw_ops_check_in,    gw_ops_comment,
    gw_ops_feed,       gw_ops_goal,        gw_ops_task,
    gw_ops_lifecycle,  gw_ops_transfer,    gw_ops_copy,
    gw_ops_connection, gw_ops_integration, gw_ops_organisation,
    gw_ops_period,     gw_ops_person,      gw_ops_team,
    gw_ops_tenant,     gw_ops_sheet,       NULL,
};
