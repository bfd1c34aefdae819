/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_SHIM_WAYS_H
#define KFE_TESTS_PKCS11_SHIM_WAYS_H

/* The ways of other tokens than the one at hand, put over it: who makes IVs, what becomes of
 * handles, how many sessions there are, what it wants of buffers, being out of reach. */

#include "tests/pkcs11/shim.h"

/* A list of functions over those of `real`, as it is while nothing is set. Once. */
CK_FUNCTION_LIST_PTR shim_ways(CK_FUNCTION_LIST_PTR real);
void shim_ways_reset(void); /* but for handles: what is lost stays so */

/* These stand in the shim's table, see there. */
void shim_ways_iv(shim_iv style);
void shim_ways_out_of_reach(bool yes);
void shim_ways_lose_handles(shim_handles which);
void shim_ways_swap_handles(CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE other);
void shim_ways_limit(unsigned sessions);
void shim_ways_size(int off);
void shim_ways_room(unsigned extra, bool ends);
unsigned long shim_ways_queries(void);

#endif
