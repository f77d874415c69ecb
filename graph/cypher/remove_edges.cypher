UNWIND $elements AS element
MATCH ()-[r:FEEDS]->() WHERE elementId(r) = element
DELETE r
