/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_KAFKA_MESSAGE_H
#define KFE_KAFKA_MESSAGE_H

/* A consumed rd_kafka_message_t as a kfe_record, and back. All of it is in memory that belongs to
 * the message; it is opened in place. */

#include <librdkafka/rdkafka.h>

#include <kfe/record.h>

/* Number of the message's headers. KFE_E_AUTH: they cannot be parsed. */
kfe_error kfe_message_count_headers(const rd_kafka_message_t *message, size_t *n);

/* Views; `headers` has room for the number that kfe_message_count_headers() said. */
void kfe_message_view(const rd_kafka_message_t *message, kfe_header *headers, kfe_record *out);

/* Makes the message show `opened`, where `stored` was made by kfe_message_view(). What of the key
 * stands elsewhere is moved into the message and wiped there. On error the message may show
 * anything and is only good for kfe_message_refuse(). KFE_E_MEMORY. */
kfe_error kfe_message_apply(rd_kafka_message_t *message, const kfe_header *stored, size_t n_stored,
                            const kfe_record *opened);

/* Turns it into an error message without content. */
void kfe_message_refuse(rd_kafka_message_t *message, kfe_error error);

#endif
