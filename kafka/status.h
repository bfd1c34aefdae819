/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_STATUS_H
#define KFE_KAFKA_STATUS_H

#include <stdbool.h>

#include <kfe/record.h>

/* True when a well-formed envelope covers the field: KFE_KEY, KFE_VALUE, or a header's place. */
bool kfe_status_covers(kfe_bytes envelope, int field);

#endif
