MATCH (p:Projection {site: $site})
SET p.origin = $origin, p.next = $next
