// Whoever writes a site takes this node's lock first: one writer at a time, and each sees how far the last one came.
MERGE (p:Projection {site: $site})
SET p.locked = true
RETURN p.origin AS origin, p.next AS next
