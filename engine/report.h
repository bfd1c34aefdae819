/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_REPORT_H
#define KFE_ENGINE_REPORT_H

/* Statistics as JSON (docs/statistics.md), when asked and at an interval. */

#include "engine/engine.h"

/* The thread that reports: of one process, ends with its state. */
typedef struct kfe_reporter kfe_reporter;

/* Ends it and frees it; no callback is under way afterwards, but the one that calls this. NULL is
 * fine. */
void kfe_reporter_stop(kfe_reporter *reporter);

#endif
