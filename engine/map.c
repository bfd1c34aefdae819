/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/map.h"

#include <string.h>

/* FNV-1a. A broker may choose ids that collide; maps are bounded, so that costs a walk of some
 * thousand nodes at most. */
static uint64_t hash_of(const uint8_t *id, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ id[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static kfe_node **bucket_of(kfe_map *map, uint64_t hash)
{
    return &map->bucket[hash % (sizeof(map->bucket) / sizeof(*map->bucket))];
}

static void unlink_use(kfe_map *map, kfe_node *node)
{
    *(node->newer != NULL ? &node->newer->older : &map->newest) = node->older;
    *(node->older != NULL ? &node->older->newer : &map->oldest) = node->newer;
}

static void link_newest(kfe_map *map, kfe_node *node)
{
    node->newer = NULL;
    node->older = map->newest;
    *(map->newest != NULL ? &map->newest->newer : &map->oldest) = node;
    map->newest = node;
}

kfe_node *kfe_map_find(kfe_map *map, const uint8_t *id, size_t len)
{
    uint64_t hash = hash_of(id, len);
    for (kfe_node *node = *bucket_of(map, hash); node != NULL; node = node->next) {
        if (node->hash != hash || node->id_len != len || memcmp(node->id, id, len) != 0)
            continue;
        if (map->newest != node) {
            unlink_use(map, node);
            link_newest(map, node);
        }
        return node;
    }
    return NULL;
}

void kfe_map_add(kfe_map *map, kfe_node *node)
{
    node->hash = hash_of(node->id, node->id_len);
    kfe_node **bucket = bucket_of(map, node->hash);
    node->next = *bucket;
    *bucket = node;
    link_newest(map, node);
    map->n++;
}

void kfe_map_remove(kfe_map *map, kfe_node *node)
{
    kfe_node **at = bucket_of(map, node->hash);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    unlink_use(map, node);
    map->n--;
}
