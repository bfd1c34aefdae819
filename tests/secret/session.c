/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/session.h"

#include <string.h>

#include "engine/envelope.h"

session session_of(const kfe_record *sealed)
{
    kfe_envelope envelope;
    session s = {0, {0}};
    assert_int_equal(kfe_envelope_read(sealed->headers[0].value, &envelope), KFE_OK);
    s.suite = envelope.suite;
    memcpy(s.salt, envelope.session.data, sizeof(s.salt));
    return s;
}
