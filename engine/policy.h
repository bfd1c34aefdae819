/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_POLICY_H
#define KFE_ENGINE_POLICY_H

/* Decides what happens to a record before any cryptography. */

#include "engine/plan.h"

/* Sealing: which key covers which field. *out stays NULL for a record that leaves in clear because
 * its topic is listed so. KFE_E_NO_KEY, KFE_E_RECORD, KFE_E_ARGUMENT, and what the
 * KeyManager says. */
kfe_error kfe_policy_plan(const kfe_settings *settings, kfe_key_manager *manager,
                          const kfe_record *in, kfe_work *work, kfe_plan **out);

/* Opening: reads the envelopes and makes every check that needs no key (docs/format.md,
 * sections 9.1 to 9.4). *out stays NULL for a record in clear that may be so. */
kfe_error kfe_accept_plan(const kfe_settings *settings, const kfe_record *in, kfe_work *work,
                          kfe_plan **out);

/* KFE_E_ARGUMENT for views that are none: no bytes but a length, or headers that are not there. */
kfe_error kfe_check_views(const kfe_record *in);

/* The `kfe` headers at the front of a record. KFE_E_AUTH: one stands elsewhere, or too many. */
kfe_error kfe_accept_count(const kfe_record *in, unsigned *n);

#endif
