"""The nouns: devices, events, findings and actions, each type beside its JSON Schema. Depends on libraries only."""
