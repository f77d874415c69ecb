UNWIND $ids AS id
MERGE (d:Device {site: $site, deviceId: id})
ON CREATE SET d.state = 'placeholder', d.type = 'unknown'
RETURN collect([id, elementId(d)]) AS nodes
