UNWIND $rows AS row
MATCH (d:Device {site: $site, deviceId: row[0]}) USING INDEX d:Device(site, deviceId)
CREATE (d)-[:WAS]->(:State {
  site: $site, validFrom: row[1], validTo: row[2], state: row[3], type: row[4], location: row[5], parent: row[6], zone: row[7],
  signals: row[8], properties: row[9]
})
