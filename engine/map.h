/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ENGINE_MAP_H
#define KFE_ENGINE_MAP_H

/* An intrusive hash map from byte strings to nodes, with the nodes in order of use. Owns its
 * buckets, never its nodes. Not thread-safe. */

#include <stddef.h>
#include <stdint.h>

typedef struct kfe_node {
    struct kfe_node *next;          /* in its bucket */
    struct kfe_node *newer, *older; /* in order of use */
    uint64_t hash;
    size_t id_len;
    const uint8_t *id; /* the owner's memory */
} kfe_node;

typedef struct {
    kfe_node *bucket[1024];
    kfe_node *newest, *oldest;
    size_t n;
} kfe_map;

/* The node with this id, or NULL; makes it the newest. */
kfe_node *kfe_map_find(kfe_map *map, const uint8_t *id, size_t len);
/* `node->id` and `id_len` are set and not in the map yet. */
void kfe_map_add(kfe_map *map, kfe_node *node);
void kfe_map_remove(kfe_map *map, kfe_node *node);

#endif
