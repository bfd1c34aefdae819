/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/status.h"

#include <kfe/kafka.h>

/* An envelope whose group was not opened is still among the headers, and kfe_open() has found it
 * well-formed; what it covers stands in its first bytes (docs/format.md, section 4):
 * version, suite, states, group, then the header map. */

enum { STATES_AT = 2, MAP_AT = 4 };

/* Header `field` by the map: varint count, then one bit each. */
static bool map_covers(kfe_bytes envelope, size_t field)
{
    size_t at = MAP_AT, count = 0;
    for (unsigned shift = 0; shift < 28 && at < envelope.len; shift += 7) {
        uint8_t byte = envelope.data[at++];
        count |= (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    if (field >= count || field / 8 >= envelope.len - at)
        return false;
    return (envelope.data[at + field / 8] >> (field % 8) & 1) != 0;
}

bool kfe_status_covers(kfe_bytes envelope, int field)
{
    if (envelope.data == NULL || envelope.len <= MAP_AT)
        return false;
    unsigned key = envelope.data[STATES_AT] & 3, value = envelope.data[STATES_AT] >> 2 & 3;
    if (field == KFE_KEY)
        return key != 0;
    if (field == KFE_VALUE)
        return value != 0;
    return field >= 0 && map_covers(envelope, (size_t)field);
}

bool kfe_message_is_sealed(const rd_kafka_message_t *message, int field)
{
    rd_kafka_headers_t *list = NULL;
    if (message == NULL || message->err || rd_kafka_message_headers(message, &list))
        return false;
    kfe_bytes value;
    for (size_t i = 0; rd_kafka_header_get(list, i, "kfe", (const void **)&value.data,
                                           &value.len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        if (kfe_status_covers(value, field))
            return true;
    }
    return false;
}
