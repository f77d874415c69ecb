UNWIND $ids AS id
MERGE (d:Device {site: $site, deviceId: id})
ON CREATE SET d.state = 'placeholder', d.type = 'unknown'
RETURN id, elementId(d) AS element
